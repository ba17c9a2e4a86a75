// The chosen render: beside the reference, its source and its maps; its numbers and settings against the reference's.
const stage = new Map();   // what a canvas is for -> canvas, kept over redraws

function figure(role, tile, caption) {
  if (!stage.has(role)) stage.set(role, html("canvas", { role: "img" }));
  const canvas = stage.get(role);
  canvas.setAttribute("aria-label", caption);
  film.show(canvas, tile);
  return html("figure", {}, canvas, html("figcaption", { dir: "auto", title: caption }, caption));
}

function detail() {
  const point = points[choice.chosen], other = points[choice.reference], same = point === other;
  const tile = tileOf(point), otherTile = tileOf(other);
  const views = html("div", { class: "views" });
  const pair = html("div", { class: "stage" });
  if (tile) pair.append(figure("chosen", choice.flip && otherTile ? otherTile : tile, choice.flip ? "Reference" : "Chosen"));
  if (otherTile && !same) pair.append(figure("reference", otherTile, "Reference"));
  const beside = html("div", { class: "beside" }, ...point.beside.map(([label, index]) => figure(`beside ${label}`, data.tiles[index], label)));
  views.append(pair, beside);
  const used = new Set([...views.querySelectorAll("canvas")]);
  for (const [role, canvas] of stage) if (!used.has(canvas)) { film.drop(canvas); stage.delete(role); }

  $("detail").replaceChildren(...[
    html("div", { class: "title" },
      html("h2", { dir: "auto" }, name(point)),
      html("button", { type: "button", "aria-pressed": same, title: "Hold the others against this render (r)", onclick: () => choose({ reference: choice.chosen }) }, same ? "Reference" : "Make reference")),
    views,
    point.status !== "done" && html("p", { class: "note", dir: "auto" }, `${point.status}${point.reason ? `: ${point.reason}` : ""}`),
    point.missing && html("p", { class: "note" }, `No picture: ${point.missing}`),
    numbers(point, same), differences(point, other, same), prompt(point), origin(point),
  ].filter(Boolean));
}

function numbers(point, same) {
  const rows = metrics.filter((metric) => point.metrics[metric.key] !== undefined).map((metric) => {
    const by = delta(metric, point);
    return html("tr", {},
      html("td", { title: `${metric.key}\n${metric.about}` }, metric.label, metric.better && html("span", { class: "lone" }, metric.better === "higher" ? " \u2191" : " \u2193")),
      html("td", { class: "n" }, `${number(point.metrics[metric.key])}${metric.unit && ` ${metric.unit}`}`),
      !same && html("td", { class: `n delta ${by?.kind ?? ""}` }, by && `${by.mark} ${by.text}`));
  });
  if (!rows.length) return null;
  return html("section", {}, html("h3", {}, same ? "Numbers" : "Numbers, and how far from the reference"), html("table", {}, html("tbody", {}, ...rows)));
}

function differences(point, other, same) {
  if (same) return html("p", { class: "note" }, "This is the reference: the other renders are held against it.");
  const keys = [...new Set([...Object.keys(other.settings), ...Object.keys(point.settings)])]
    .filter((key) => point.settings[key] !== other.settings[key]).sort();
  const rows = keys.map((key) => html("tr", {},
    html("td", { class: "mono" }, key),
    ...[other, point].map((one) => html("td", {}, html("div", { class: "clamp" }, one.settings[key] ?? "not set")))));
  return html("section", {}, html("h3", {}, "Settings that differ"), rows.length
    ? html("table", { class: "diff" }, html("thead", {}, html("tr", {}, html("th", {}, ""), html("th", {}, "Reference"), html("th", {}, "This"))), html("tbody", {}, ...rows))
    : html("p", { class: "lone" }, "None: both renders have the same settings."));
}

function prompt(point) {
  const text = point.settings.prompt ?? data.common.prompt;
  return text && html("section", {}, html("h3", {}, "Prompt"), html("div", { class: "clamp", tabindex: 0, role: "region", "aria-label": "Prompt" }, text));
}

function origin(point) {
  const lines = [["Film", point.film], ["Clip", point.clip], ["Rendered", point.when], ["Run", point.id], ["Why it is so", `rotoscope why ${point.id}`]];
  return html("section", {}, html("h3", {}, "Where it comes from"), html("table", {}, html("tbody", {},
    ...lines.filter(([, text]) => text).map(([label, text]) => html("tr", {}, html("td", { class: "lone" }, label), html("td", { class: ["Film", "Rendered"].includes(label) ? "" : "mono", dir: "auto" }, text))))));
}

function theatre(on) {
  document.body.classList.toggle("theatre", on ?? !document.body.classList.contains("theatre"));
}
onChange(["chosen", "reference", "flip"], detail);

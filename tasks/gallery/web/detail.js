// One render: its film beside its source, what it is made of, what a person thinks of it.
function openDetail(run) {
  const one = byRun(run), dialog = $("detail");
  if (!one) return;
  dialog.dataset.run = run;
  const at = one.status === "running" ? progressOf(one) : null;
  const rows = data.metrics.filter((metric) => one.metrics[metric.key] !== undefined).map((metric) => html("tr", {},
    html("td", { title: `${metric.key}\n${metric.about}` }, metric.label), html("td", { class: "n" }, figure(one, metric))));
  const changes = one.changes.map(([key, was, now]) => html("tr", {}, html("td", {}, key), html("td", {}, short(was, 300)), html("td", {}, short(now, 300))));
  const settings = Object.entries(settingsOf(one)).sort();
  dialog.replaceChildren(...[
    html("div", { class: "head" }, html("h2", { dir: "auto" }, called(one)), stars(one), html("button", { type: "button", onclick: () => dialog.close(), title: "Close (Esc)" }, "Close")),
    html("div", { class: "views" }, film(one), one.source && html("figure", {}, html("img", { src: picture(one, "source"), alt: "Source" }), html("figcaption", {}, `Source: ${one.of}`))),
    at && html("p", { class: "note" }, at.text),
    one.reason && html("p", { class: "whole" }, `${one.status}: ${one.reason}`),
    html("div", { class: "acts" },
      html("button", { type: "button", onclick: () => copy(one.command, "command") }, "Copy command"),
      html("button", { type: "button", onclick: async () => copy(await settingsText(one), "settings") }, "Copy settings"),
      html("button", { type: "button", onclick: () => { pick(run); openDetail(run); } }, state.picked.has(run) ? "Leave out of comparing" : "Choose for comparing"),
      html("code", {}, one.command)),
    html("h3", {}, "Prompt"), html("p", { class: "whole", dir: "auto" }, one.prompt || "none"),
    html("h3", {}, "Note"), note(one),
    html("div", { class: "columns" },
      html("section", {}, html("h3", {}, "New against the one before"), changes.length ? html("table", {}, html("tbody", {}, ...changes)) : html("p", { class: "note" }, "Nothing, or it is the first of its clip.")),
      rows.length && html("section", {}, html("h3", {}, "Numbers"), html("table", {}, html("tbody", {}, ...rows)))),
    html("p", { class: "note" }, [one.run, one.flow, one.model, one.sweep && `sweep ${one.sweep}`, one.when, one.seconds && duration(one.seconds)].filter(Boolean).join("  \u00B7  ")),
    html("details", {}, html("summary", {}, `All settings (${settings.length})`), html("table", {}, html("tbody", {}, ...settings.map(([key, value]) => html("tr", {}, html("td", { class: "mono" }, key), html("td", {}, short(value, 600))))))),
  ].filter(Boolean));
  if (!dialog.open) dialog.showModal();
}

// The film itself where the server has it, else the thumbnail.
function film(one) {
  const live = one.status !== "done" && one.status !== "reused";
  const url = live ? livePicture(one) : picture(one);
  const still = () => url && html("img", { src: url, alt: "Result", onerror: (event) => event.target.remove() });
  const shown = served && one.film && !live
    ? html("video", { src: `film/${one.run}`, controls: true, loop: true, muted: true, autoplay: !state.still, playsinline: true, onerror: (event) => event.target.replaceWith(still()) })
    : still();
  if (shown instanceof HTMLVideoElement) shown.muted = true;
  return html("figure", {}, shown, html("figcaption", {}, !live ? "Result" : one.status === "running" ? "As it stands" : url ? "As far as it came" : "No picture"));
}

function note(one) {
  const area = html("textarea", { id: "note", placeholder: served ? "What do you think of it?" : "", disabled: !served, maxlength: 4000, dir: "auto", "aria-label": "Note" });
  area.value = one.note;
  area.addEventListener("change", () => mark(one.run, { note: area.value.trim() }));
  return area;
}

async function settingsText(one) {
  if (served) {
    const answer = await fetch(`settings/${one.run}`);
    if (answer.ok) return answer.text();
  }
  return Object.entries(settingsOf(one)).sort().map(([key, value]) => `${key}: ${JSON.stringify(value)}`).join("\n");
}

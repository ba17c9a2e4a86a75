// Chosen renders side by side, their films in step, with what differs. The page that `rotoscope compare` makes shows
// more; where there is one of exactly these renders it is a click away, else its command is.
function openCompare() {
  const some = [...state.picked].map(byRun).filter(Boolean);
  if (some.length < 2) return;
  const dialog = $("compare"), all = some.map(settingsOf);
  const keys = [...new Set(all.flatMap((one) => Object.keys(one)))].sort().filter((key) => new Set(all.map((one) => one[key])).size > 1);
  const metrics = data.metrics.filter((metric) => some.filter((one) => one.metrics[metric.key] !== undefined).length > 1);
  const runs = some.map((one) => one.run).sort(), made = data.pages.findLast((page) => page.runs.join() === runs.join());
  const command = `rotoscope compare "runs=[${runs.join(",")}]"`;
  const figures = some.map((one) => { const shown = film(one); shown.querySelector("figcaption").textContent = [called(one), one.when.slice(5, 16)].join(" \u00B7 "); return shown; });
  const heads = html("tr", {}, html("th", {}), ...some.map((one) => html("th", {}, called(one), html("div", { class: "mono" }, one.run.slice(-6)))));
  dialog.replaceChildren(...[
    html("div", { class: "head" }, html("h2", {}, `${some.length} renders`), html("button", { type: "button", onclick: () => dialog.close(), title: "Close (Esc)" }, "Close")),
    html("div", { class: "views" }, ...figures),
    html("div", { class: "acts" },
      served && made && html("a", { href: `page/${made.run}`, target: "_blank", rel: "noopener" }, "Open their comparison page"),
      html("button", { type: "button", onclick: () => copy(command, "command") }, made ? "Copy its command" : "Copy the command of their comparison page"),
      html("code", {}, command)),
    html("div", { class: "scroll" }, html("table", {}, html("thead", {}, heads), html("tbody", {},
      ...metrics.map((metric) => row(some, metric)),
      ...keys.map((key) => html("tr", {}, html("td", { class: "mono" }, key), ...all.map((one) => html("td", {}, short(one[key] ?? "not set", 160)))))))),
  ].filter(Boolean));
  dialog.showModal();
  inStep([...dialog.querySelectorAll("video")]);
}

function row(some, metric) {
  const values = some.map((one) => one.metrics[metric.key]);
  const known = values.filter((value) => value !== undefined);
  const best = metric.better && new Set(known).size > 1 ? Math[metric.better === "higher" ? "max" : "min"](...known) : null;
  return html("tr", {}, html("td", { title: `${metric.key}\n${metric.about}` }, metric.label),
    ...values.map((value) => html("td", { class: value !== undefined && value === best ? "best" : "" }, value === undefined ? "" : `${number(value)}${metric.unit && ` ${metric.unit}`}`)));
}

// The first film leads: whatever is played, held or sought there, the others follow.
function inStep([lead, ...others]) {
  if (!lead || !others.length) return;
  const follow = () => others.forEach((video) => { if (Math.abs(video.currentTime - lead.currentTime) > 0.08) video.currentTime = Math.min(lead.currentTime, video.duration || 0); });
  lead.addEventListener("timeupdate", follow);
  lead.addEventListener("seeking", follow);
  lead.addEventListener("play", () => others.forEach((video) => video.play()));
  lead.addEventListener("pause", () => others.forEach((video) => video.pause()));
}

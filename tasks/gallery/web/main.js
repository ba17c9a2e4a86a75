// Wiring: filters, keys, and what changes in the store while the page is open.
const KEYS = [
  ["\u2190 \u2191 \u2192 \u2193", "another render"],
  ["Enter", "open it; Esc goes back"],
  ["x", "choose it for comparing"],
  ["c", "the chosen ones side by side"],
  ["s", "its source instead of the result"],
  ["0 1 2 3 4 5", "stars"],
  ["n", "write a note"],
  ["/", "search"],
  ["p", "play or hold the pictures"],
  ["t", "colours: as the system, light, dark"],
  ["?", "these keys"],
];
const EVERY = 2500;   // ms between two looks at the store
let order = [];

function filters() {
  const bar = $("filters");
  bar.querySelectorAll("select").forEach((node) => node.remove());
  for (const { key, label, of } of FILTERS) {
    const values = [...new Set(data.renders.map(of).filter(Boolean))].sort();
    if (key === "stars") values.splice(0, values.length, ...[5, 4, 3, 2, 1].filter((least) => data.renders.some((one) => one.stars >= least)).map((least) => `${least} or more`));
    if (values.length + (key === "stars" || key === "sweep") < 2 && !state.filters[key]) continue;
    bar.append(html("select", { class: state.filters[key] ? "on" : "", "data-key": key, "aria-label": label, onchange: (event) => { state.filters[key] = event.target.value; show(); filters(); } },
      html("option", { value: "" }, label), ...values.map((value) => html("option", { value, selected: value === state.filters[key] }, value))));
  }
  const sorts = [["newest", "Newest first"], ["stars", "Most stars"], ...data.metrics.filter((metric) => metric.better).map((metric) => [metric.key, `Best ${metric.label.toLowerCase()}`])];
  bar.append(html("select", { id: "sort", "aria-label": "Order", onchange: (event) => { state.sort = event.target.value; show(); } },
    ...sorts.map(([value, label]) => html("option", { value, selected: value === state.sort }, label))));
}

function show() {
  const found = fitting();
  order = found.map((one) => one.run);
  $("tiles").replaceChildren(...found.map(tile));
  if (order.length && !$("tiles").querySelector(".tile[tabindex='0']")) tiles.get(order[0]).tabIndex = 0;
  const running = data.renders.filter((one) => one.status === "running").length;
  const trials = data.renders.filter(laidAside).length;
  const all = data.renders.length - trials;
  $("summary").textContent = [found.length === all ? `${all} renders` : `${found.length} of ${all} renders`, running && `${running} running`, trials && `${trials === 1 ? "1 trial" : `${trials} trials`} of a search: filter by sweep`].filter(Boolean).join("  \u00B7  ");
  $("nothing").hidden = found.length > 0;
  $("nothing").textContent = data.renders.length ? "No render fits. Fewer words or filters show more." : "No renders yet: the first one appears here as soon as it begins.";
}

function focusTile(run) {
  const node = tiles.get(run);
  if (!node) return;
  $("tiles").querySelectorAll(".tile[tabindex='0']").forEach((other) => { other.tabIndex = -1; });
  node.tabIndex = 0;
  node.focus();
  node.scrollIntoView({ block: "nearest" });
}

function move(across, down) {
  const at = order.indexOf(document.activeElement?.closest?.(".tile")?.dataset.run ?? $("tiles").querySelector(".tile[tabindex='0']")?.dataset.run);
  const columns = getComputedStyle($("tiles")).gridTemplateColumns.split(" ").length;
  const next = at < 0 ? 0 : at + across + down * columns;
  if (next >= 0 && next < order.length) focusTile(order[next]);
}

function hold(on = !state.still) {
  state.still = on;
  $("still").textContent = on ? "Play" : "Hold";
  $("still").setAttribute("aria-pressed", on);
  for (const [run, node] of tiles) shoot(node, byRun(run));
}

const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const ACTIONS = {
  "/": () => $("words").focus(),
  c: openCompare,
  p: () => hold(),
  t: theme,
  "?": () => $("help").showModal(),
};
const ON_TILE = {
  Enter: (run) => openDetail(run),
  " ": (run) => pick(run),
  x: (run) => pick(run),
  s: (run) => { const node = tiles.get(run); node.dataset.source = node.dataset.source === "yes" || !byRun(run).source ? "" : "yes"; shoot(node, byRun(run)); },
  n: (run) => { openDetail(run); $("note").focus(); },
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches?.("input[type='search'], textarea, select")) return;
  const dialog = document.querySelector("dialog[open]");
  const run = dialog?.id === "detail" ? dialog.dataset.run : document.activeElement?.closest?.(".tile")?.dataset.run;
  if (run && /^[0-5]$/.test(event.key)) mark(run, { stars: Number(event.key) });
  else if (dialog) return;
  else if (STEPS[event.key] && !event.target.matches?.("input, button, video")) move(...STEPS[event.key]);
  else if (run && event.target.matches?.(".tile") && Object.hasOwn(ON_TILE, event.key)) ON_TILE[event.key](run);
  else if (Object.hasOwn(ACTIONS, event.key)) ACTIONS[event.key]();
  else return;
  event.preventDefault();
});

// New data takes the old one's place; tiles whose render has not changed stay as they are.
function renew(next) {
  const before = new Map(data.renders.map((one) => [one.run, JSON.stringify(one)]));
  data = { ...next, token };
  for (const one of data.renders) if (before.has(one.run) && before.get(one.run) !== JSON.stringify(one)) redraw(one.run);
  filters();
  const focused = document.activeElement?.closest?.(".tile")?.dataset.run;
  show();
  if (focused && order.includes(focused)) focusTile(focused);
}

async function look() {
  try {
    const { version, running } = await (await fetch("changes.json")).json();
    for (const [run, at] of Object.entries(running)) {
      const one = byRun(run);
      if (!one) continue;
      one.progress = at;
      if (tiles.get(run)?.firstChild) shoot(tiles.get(run), one);
    }
    if (version !== data.version) renew(await (await fetch("data.json")).json());
  } catch { $("summary").textContent = "the gallery's server has ended: rotoscope gallery"; }
}

function start() {
  watching();
  $("words").addEventListener("input", () => { state.words = $("words").value; show(); });
  $("words").addEventListener("keydown", (event) => { if (event.key === "Escape") { $("words").value = state.words = ""; show(); focusTile(order[0]); } if (event.key === "Enter" || event.key === "ArrowDown") { focusTile(order[0]); event.preventDefault(); } });
  $("theme").addEventListener("click", theme);
  $("still").addEventListener("click", () => hold());
  $("clear").addEventListener("click", () => { for (const run of [...state.picked]) pick(run); });
  $("compare-button").addEventListener("click", openCompare);
  $("help-button").addEventListener("click", () => $("help").showModal());
  $("keys").append(...KEYS.flatMap(([keys, what]) => [html("dt", {}, ...keys.split(" ").flatMap((key) => [html("kbd", {}, key), " "])), html("dd", {}, what)]));
  for (const dialog of document.querySelectorAll("dialog")) {
    dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
    if (dialog.id !== "help") dialog.addEventListener("close", () => dialog.replaceChildren());   // its films end
  }
  hold(state.still);
  filters();
  show();
  chosen();
  if (served) setInterval(() => { if (!document.hidden) look(); }, EVERY);
  document.documentElement.dataset.ready = String(Math.round(performance.now()));
}
start();

// Wiring: playback, keys, colours, and the first picture.
const KEYS = [
  ["Space", "play or pause"],
  ["\u2190 \u2192", "one frame back or on"],
  ["Home End", "first or last frame"],
  ["Shift + arrows", "choose a neighbouring render"],
  ["r", "hold the others against the chosen render"],
  ["c (held)", "show the reference in its place"],
  ["Enter", "large view of the chosen render; Esc goes back"],
  ["n", "next number under the clips"],
  ["[ ]", "slower, faster"],
  ["+ \u2212 0", "larger clips, smaller, fitted"],
  ["x", "swap across and down"],
  ["t", "colours: as the system, light, dark"],
  ["?", "these keys"],
];
const SPEEDS = [0.1, 0.25, 0.5, 1, 1.5, 2, 4];

function speed(by) {
  const now = SPEEDS.indexOf(film.rateNow());
  const next = SPEEDS[Math.min(SPEEDS.length - 1, Math.max(0, now + by))];
  film.rate(next);
  $("speed").value = next;
}

const ACTIONS = {
  " ": () => film.toggle(),
  ArrowLeft: () => film.step(-1), ",": () => film.step(-1),
  ArrowRight: () => film.step(1), ".": () => film.step(1),
  Home: () => film.seek(0), End: () => film.seek(film.frames - 1),
  r: () => choose({ reference: choice.chosen }),
  c: () => choose({ flip: true }),
  Enter: () => theatre(), Escape: () => theatre(false),
  n: () => metrics.length && (choose({ metric: (choice.metric + 1) % metrics.length }), controls()),
  "[": () => speed(-1), "]": () => speed(1),
  "+": () => choose({ sized: true, zoom: Math.min(640, Math.round(choice.zoom * 1.15)) }), "=": () => ACTIONS["+"](),
  "-": () => choose({ sized: true, zoom: Math.max(56, Math.round(choice.zoom / 1.15)) }),
  0: () => choose({ sized: false, zoom: fit() }),
  x: () => choose({ x: choice.y, y: choice.x }),
  t: theme,
  "?": () => $("help").showModal(),
};
const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || $("help").open) return;
  const at = event.target, own = at.matches?.("select, input") && event.key !== " ";
  const pressed = at.matches?.("button, select, summary") && (event.key === " " || event.key === "Enter");
  if (own || pressed) return;
  if (event.shiftKey && STEPS[event.key]) move(...STEPS[event.key]);
  else if (event.shiftKey && event.key.startsWith("Arrow")) return;
  else if (Object.hasOwn(ACTIONS, event.key)) ACTIONS[event.key]();
  else return;
  event.preventDefault();
});
document.addEventListener("keyup", (event) => { if (event.key === "c") choose({ flip: false }); });
window.addEventListener("blur", () => choose({ flip: false }));

function transport() {
  $("scrub").value = film.frame;
  $("scrub").setAttribute("aria-valuetext", `frame ${film.frame + 1} of ${film.frames}`);
  $("clock").textContent = `${film.frame + 1} / ${film.frames}  \u00B7  ${(film.frame / film.fps).toFixed(2)} s`;
  $("play").textContent = film.playing ? "Pause" : "Play";
}

function start() {
  $("title").textContent = data.name;
  const done = points.filter((point) => point.status === "done").length;
  const clips = new Set(points.map((point) => point.clip).filter(Boolean));
  $("summary").textContent = [!data.name.startsWith(`${points.length} `) && `${points.length} renders`, done < points.length && `${done} done`, axes.length && axes.slice(0, 3).map((axis) => axis.label).join(" \u00D7 "), clips.size === 1 ? [...clips][0] : clips.size ? `${clips.size} different clips` : null, data.made].filter(Boolean).join("  \u00B7  ");
  $("keys").append(...KEYS.flatMap(([keys, what]) => [html("dt", {}, ...keys.split(" ").flatMap((key) => [/^[+(]|held/.test(key) && key.length > 1 || (key === "+" && keys.startsWith("Shift")) ? key : html("kbd", {}, key), " "])), html("dd", {}, what)]));
  $("speed").append(...SPEEDS.map((value) => html("option", { value, selected: value === 1 }, `${value}\u00D7`)));
  [choice.tradeX, choice.tradeY] = data.front;
  $("scrub").max = Math.max(0, film.frames - 1);
  $("scrub").addEventListener("input", () => film.seek(Number($("scrub").value)));
  $("play").addEventListener("click", () => film.toggle());
  $("back").addEventListener("click", () => film.step(-1));
  $("forth").addEventListener("click", () => film.step(1));
  $("speed").addEventListener("change", () => film.rate(Number($("speed").value)));
  $("theme").addEventListener("click", theme);
  $("help-button").addEventListener("click", () => $("help").showModal());
  $("clear").addEventListener("click", () => choose({ ranges: new Map() }));
  film.onFrame(transport);
  if (data.tiles.length) film.load();   // it decodes while the rest is built
  begin();
  zooming();
  controls();
  layout();
  detail();
  transport();
  setTimeout(below);   // what has to be scrolled to comes after the first picture
  if (data.tiles.length) {
    if (!matchMedia("(prefers-reduced-motion: reduce)").matches) film.play();
  } else document.querySelector(".transport").hidden = true;
  let last = $("trade").clientWidth;
  new ResizeObserver(([{ contentRect }]) => {
    if (Math.abs(contentRect.width - last) > 8) { last = contentRect.width; trade(); parallel(); refit(); }
  }).observe($("trade"));
}

function below() {
  table();
  tableMarks();
  trade();
  parallel();
}
start();

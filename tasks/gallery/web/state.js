// What is shown, filtered, chosen. `data` is replaced as a whole when the store has changed.
let data = JSON.parse($("data").textContent);
const served = Boolean(data.token);
const token = data.token;
const state = {
  words: "", filters: {}, sort: "newest",
  picked: new Set(),                      // runs, in the order of picking
  still: matchMedia("(prefers-reduced-motion: reduce)").matches,
};
const FILTERS = [
  { key: "flow", label: "Flow", of: (one) => one.flow },
  { key: "of", label: "Clip", of: (one) => one.of },
  { key: "model", label: "Model", of: (one) => one.model },
  { key: "sweep", label: "Sweep", of: (one) => one.sweep },
  { key: "status", label: "Status", of: (one) => (one.status === "reused" ? "done" : one.status) },
  { key: "stars", label: "Stars", of: (one) => (one.stars ? `${one.stars} or more` : ""), fits: (one, wanted) => one.stars >= Number.parseInt(wanted, 10) },
];
const byRun = (run) => data.renders.find((one) => one.run === run);
const called = (one) => one.title || one.of || one.flow;
const metricOf = (key) => data.metrics.find((metric) => metric.key === key);
const settingsOf = (one) => ({ ...data.common, ...one.settings });

// Every word must occur; what it is looked for in is put together once.
const haystacks = new WeakMap();
function haystack(one) {
  if (!haystacks.has(one)) haystacks.set(one, [one.run, one.flow, one.of, one.title, one.prompt, one.model, one.sweep, one.reason, ...one.changes.map(([key, , now]) => `${key} ${now}`)].join("\n").toLowerCase());
  return `${haystacks.get(one)}\n${one.note.toLowerCase()}`;
}

// Trials of a search are many and rough: a filter by flow or sweep shows them, and the one that is going on is shown.
const laidAside = (one) => one.trial && one.status !== "running" && !state.filters.sweep && !state.filters.flow;

function fitting() {
  const words = state.words.toLowerCase().split(/\s+/).filter(Boolean);
  const found = data.renders.filter((one) =>
    !laidAside(one) && FILTERS.every(({ key, of, fits }) => !state.filters[key] || (fits ? fits(one, state.filters[key]) : of(one) === state.filters[key]))
    && (!words.length || words.every((word) => haystack(one).includes(word))));
  const { sort } = state;
  if (sort === "newest") return found;
  if (sort === "stars") return found.sort((a, b) => b.stars - a.stars || (a.run < b.run) - (a.run > b.run));
  const sign = metricOf(sort)?.better === "lower" ? 1 : -1;
  const value = (one) => one.metrics[sort] ?? null;
  return found.sort((a, b) => (value(a) === null) - (value(b) === null) || sign * (value(a) - value(b)) || 0);
}

function headline(one, count) {
  return data.metrics.filter((metric) => one.metrics[metric.key] !== undefined).slice(0, count);
}
const duration = (seconds) => (seconds < 99.5 ? `${Math.round(seconds)} s` : seconds < 5970 ? `${Math.round(seconds / 60)} min` : `${Math.floor(seconds / 3600)} h ${String(Math.round(seconds / 60) % 60).padStart(2, "0")} min`);
const figure = (one, metric) => `${number(one.metrics[metric.key])}${metric.unit && ` ${metric.unit}`}`;

// How far a render is: share of the stage, and what is left by its own speed and by what past runs took.
function progressOf(one) {
  const at = one.progress;
  if (!at) return null;
  const share = at.total ? at.done / at.total : 0;
  const rest = at.expected === null ? null : Math.max(0, at.expected - (at.updated - at.began));
  const left = Math.max(at.left ?? 0, rest ?? 0);
  const known = at.left !== null || rest !== null;
  return { share, text: `${at.stage} ${at.done}/${at.total}${known ? ` \u00B7 ${duration(left)} left` : ""}` };
}

let hush = 0;
function say(text) {
  $("said").textContent = text;
  clearTimeout(hush);
  hush = setTimeout(() => { $("said").textContent = ""; }, 2600);
}

async function copy(text, what) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {                                // from disk, or without permission
    const area = html("textarea", {}, text);
    (document.querySelector("dialog[open]") ?? document.body).append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  say(`${what} copied`);
}

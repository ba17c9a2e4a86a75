// The data, what is chosen, and who wants to know.
const data = JSON.parse(document.getElementById("data").textContent);
const { points, axes, metrics } = data;
const choice = {
  x: -1, y: -1,              // index of an axis; -1: none, all renders in a row
  fixed: axes.map(() => -1), // value of every other axis; -1: all
  metric: 0,
  tradeX: 0, tradeY: 0, up: metrics.map((metric) => metric.better !== "lower"),
  chosen: data.reference, reference: data.reference, hover: -1, flip: false,
  ranges: new Map(),         // column of the parallel plot -> [low, high]
  sort: { key: "", down: false },
  zoom: 0, sized: false,     // width of a cell, px; whether the reader chose it
};
const listeners = [];
const onChange = (names, act) => listeners.push({ names, act });

function choose(change) {
  const names = Object.keys(change).filter((name) => choice[name] !== change[name]);
  if (!names.length) return;
  Object.assign(choice, change);
  for (const { names: wanted, act } of listeners) if (wanted.some((name) => names.includes(name))) act();
}

// Columns of table and parallel plot: axes, then metrics, each with a number and a text for every point.
const columns = [
  ...axes.map((axis, index) => ({
    key: axis.key, label: axis.label, title: [axis.key, ...axis.linked].join("\n"), better: null, axis,
    value: (point) => (point.at[index] < 0 ? null : axis.numeric ? Number(axis.values[point.at[index]]) : point.at[index]),
    text: (point) => (point.at[index] < 0 ? "" : axis.values[point.at[index]]),
    numeric: axis.numeric,
  })),
  ...metrics.map((metric) => ({
    key: metric.key, label: metric.label, title: `${metric.key}\n${metric.about}`, better: metric.better, metric,
    value: (point) => point.metrics[metric.key] ?? null,
    text: (point) => number(point.metrics[metric.key]),
    numeric: true,
  })),
];
const extent = (values) => {
  const known = values.filter((value) => value !== null && value !== undefined);
  return known.length ? [Math.min(...known), Math.max(...known)] : [0, 0];
};
const metricExtent = metrics.map((metric) => extent(points.map((point) => point.metrics[metric.key])));

// The difference to the reference: text, and whether it is better.
function delta(metric, point) {
  const mine = point.metrics[metric.key];
  const other = points[choice.reference]?.metrics[metric.key];
  if (mine === undefined || other === undefined || point === points[choice.reference]) return null;
  const by = mine - other;
  const same = Math.abs(by) < 1e-9 * Math.max(1, Math.abs(other));
  const better = same || !metric.better ? null : (by > 0) === (metric.better === "higher");
  const mark = better === null ? "" : better ? "\u25B2" : "\u25BC";
  const text = same ? "\u00B10" : `${by > 0 ? "+" : "\u2212"}${number(Math.abs(by), 3)}`;
  return { mark, text, kind: better === null ? "" : better ? "better" : "worse" };
}

const name = (point) => axes.map((axis, index) => (point.at[index] < 0 ? null : `${axis.label} ${short(axis.values[point.at[index]], 40)}`))
  .filter(Boolean).slice(0, 4).join(" \u00B7 ") || point.id;

// Whether a point lies outside one of the ranges that were drawn on the parallel plot.
const outside = (point) => [...choice.ranges].some(([key, [low, high]]) => {
  const value = columns.find((column) => column.key === key).value(point);
  return value === null || value < low || value > high;
});

const marks = (index) => [
  index === choice.hover && "hover", index === choice.chosen && "chosen", index === choice.reference && "reference",
  outside(points[index]) && "dim",
].filter(Boolean);

function mark(node, index) {
  const on = marks(index);
  for (const each of ["hover", "chosen", "reference", "dim"]) node.classList.toggle(each, on.includes(each));
}
const hovering = (index) => ({
  onpointerenter: () => choose({ hover: index }),
  onpointerleave: () => choose({ hover: -1 }),
});

// All renders as a table; a click on a head sorts, on a row chooses.
let bodyRows = [];

const makeRows = () => points.map((point, index) => html("tr", { onclick: () => choose({ chosen: index }), ...hovering(index) },
  html("td", { class: "mono" }, point.id), html("td", {}, point.status),
  ...columns.map((column) => html("td", { class: column.numeric ? "n" : "", dir: "auto", title: column.axis ? column.text(point) : null }, short(column.text(point), 80)))));

function table() {
  if (!bodyRows.length) bodyRows = makeRows();
  const best = new Map(metrics.filter((metric) => metric.better).map((metric, index) => [metric.key, metricExtent[metrics.indexOf(metric)][metric.better === "higher" ? 1 : 0]]));
  bodyRows.forEach((row, index) => metrics.forEach((metric, at) => {
    const value = points[index].metrics[metric.key];
    row.children[2 + axes.length + at].classList.toggle("best", value !== undefined && value === best.get(metric.key));
  }));
  const heads = [{ key: "run", label: "Run" }, { key: "status", label: "Status" }, ...columns];
  const head = html("tr", {}, ...heads.map((column) => html("th", {
    scope: "col", class: column.numeric ? "n" : "", title: column.title ?? null,
    "aria-sort": choice.sort.key === column.key ? (choice.sort.down ? "descending" : "ascending") : null,
  }, html("button", { type: "button", "data-key": column.key, onclick: () => sortBy(column.key) }, column.label))));
  $("table").replaceChildren(html("thead", {}, head), html("tbody", {}, ...sorted().map((index) => bodyRows[index])));
}

function sortBy(key) {
  const down = choice.sort.key === key ? !choice.sort.down : columns.find((column) => column.key === key)?.better === "higher";
  choose({ sort: { key, down } });
  $("table").querySelector(`button[data-key="${CSS.escape(key)}"]`)?.focus();
}

function sorted() {
  const { key, down } = choice.sort;
  const column = columns.find((one) => one.key === key);
  const value = (index) => (key === "run" ? points[index].id : key === "status" ? points[index].status : column?.value(points[index]) ?? null);
  const order = points.map((_, index) => index);
  if (!key) return order;
  return order.sort((a, b) => {
    const [left, right] = [value(a), value(b)];
    if (left === null || right === null) return (left === null) - (right === null) || a - b;   // what is missing goes last
    return ((left > right) - (left < right)) * (down ? -1 : 1) || a - b;
  });
}

const tableMarks = () => bodyRows.forEach((row, index) => mark(row, index));
onChange(["sort"], table);
onChange(["hover", "chosen", "reference", "ranges"], tableMarks);

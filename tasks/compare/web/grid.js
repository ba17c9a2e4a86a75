// The grid: two axes across and down, the others chosen by selects; a place that several renders share shows them all.
const cells = points.map((point, index) => cell(point, index));
const NONE = -1;

function cell(point, index) {
  const tile = tileOf(point);
  const node = html("div", {
    class: `cell ${point.status}`, role: "gridcell", tabindex: -1, "data-point": index,
    onclick: () => { choose({ chosen: index }); node.focus({ preventScroll: true }); },
    ondblclick: () => theatre(true),
    onfocus: () => choose({ chosen: index }),
    ...hovering(index),
  });
  if (tile) {
    const canvas = html("canvas", { role: "img" });
    node.append(canvas);
    film.show(canvas, tile);
  } else {
    const why = point.status === "done" ? point.missing : point.reason;
    node.append(html("div", { class: "state", title: why || "" }, html("b", {}, point.status === "done" ? "no picture" : point.status), html("span", { dir: "auto" }, short(why || "", 160))));
  }
  node.append(html("div", { class: "meter" }, html("i")), html("div", { class: "foot" }, html("span"), html("span", { class: "delta" })));
  return node;
}

function fits(point) {
  return axes.every((_, index) => index === choice.x || index === choice.y || choice.fixed[index] < 0 || point.at[index] === choice.fixed[index]);
}

// Whether an axis is one to lay renders out by: not one with a single value, nor one that only names single renders.
const spans = (axis) => axis.values.length > 1 && (data.swept || axes.length === 1 || axis.numeric || axis.values.length < points.length);

function begin() {
  const whole = axes.map((_, index) => index).filter((index) => spans(axes[index]));
  const [x = NONE, y = NONE] = whole;
  choice.x = x;
  choice.y = y;
  const reference = points[choice.reference];
  choice.fixed = axes.map((_, index) => reference.at[index]);
  const places = Math.max(1, axes[x]?.values.length ?? 1) * Math.max(1, axes[y]?.values.length ?? 1);
  if (points.filter(fits).length < places / 2) choice.fixed = axes.map(() => -1);
  if (y !== NONE && new Set(points.map((point) => `${point.at[x]},${point.at[y]}`)).size < places / 2 && !data.swept) choice.x = choice.y = NONE;
  choice.zoom = fit();
}

// A cell's width at which the grid fills the room: neither more than twice the clip's own width nor too small to see.
function fit() {
  const room = Math.max(240, $("controls").clientWidth - (choice.y === NONE ? 0 : 150));
  const across = choice.x === NONE ? Math.ceil(Math.sqrt(points.length * 1.6)) : axes[choice.x].values.length;
  const own = Math.max(64, ...data.tiles.map((tile) => tile[2]));
  const down = choice.y === NONE ? 1 : axes[choice.y].values.length;
  const tall = Math.max(1, ...data.tiles.map((tile) => tile[3] / tile[2]));
  // Rows that are seen at once: of tall clips little more than one, or two of them would leave half of the width empty.
  const high = Math.max(280, window.innerHeight - 210) / Math.min(down, tall > 1.2 ? 1.15 : 2.2) / tall;
  const chosen = window.innerWidth > 900 ? $("detail").clientWidth - 34 : Infinity;   // no cell is larger than the chosen one's
  return Math.round(Math.max(72, Math.min(room / across - 8, Math.max(own, 256) * 1.5, Math.max(high, 110), chosen)));
}

function layout() {
  const grid = $("grid"), across = axes[choice.x], down = axes[choice.y];
  const heads = across ? across.values : [null], sides = down ? down.values : [null];
  const active = document.activeElement;
  const shown = points.map((point, index) => index).filter((index) => fits(points[index]));
  grid.style.gridTemplateColumns = `${down ? "auto " : ""}repeat(${heads.length}, ${across ? "auto" : "1fr"})`;
  grid.style.width = across ? "max-content" : "100%";
  const head = html("div", { role: "row" });
  if (down) head.append(html("div", { class: "corner", role: "columnheader", title: down.key }, across ? `${down.label} \u2193  ${across.label} \u2192` : `${down.label} \u2193`));
  if (across) head.append(...heads.map((value) => html("div", { class: "axis-x", role: "columnheader", dir: "auto", title: `${across.key}\n${value}` }, short(value, 120))));
  const rows = sides.map((side, y) => {
    const row = html("div", { role: "row" });
    if (down) row.append(html("div", { class: "axis-y", role: "rowheader", dir: "auto", title: `${down.key}\n${side}` }, short(side, 120)));
    heads.forEach((_, x) => {
      const here = shown.filter((index) => (!across || points[index].at[choice.x] === x) && (!down || points[index].at[choice.y] === y));
      row.append(html("div", { class: "place" }, ...(here.length ? here.map((index) => cells[index]) : [html("div", { class: "empty" }, "\u00B7")])));
    });
    return row;
  });
  grid.replaceChildren(...(head.childNodes.length ? [head] : []), ...rows);
  if (active?.classList.contains("cell") && active.isConnected) active.focus({ preventScroll: true });
  const hidden = points.length - shown.length;
  $("grid-note").textContent = hidden ? `${hidden} of ${points.length} renders are not in this view; the selects above choose others.` : "";
  caption();
}

function caption() {
  const metric = metrics[choice.metric];
  const [low, high] = metricExtent[choice.metric] ?? [0, 0];
  cells.forEach((node, index) => {
    const point = points[index], value = metric && point.metrics[metric.key];
    const [left, right] = node.querySelectorAll(".foot span");
    const by = metric && delta(metric, point);
    left.textContent = value === undefined ? (metric ? "" : short(name(point), 60)) : number(value, 3);
    right.replaceChildren(...(by ? [by.mark, html("b", {}, ` ${by.text}`)] : []));
    right.className = `delta ${by ? by.kind : ""}`;
    const share = value === undefined || high === low ? 0 : (value - low) / (high - low);
    node.querySelector("i").style.width = `${100 * (value === undefined || high === low ? 0 : metric.better === "lower" ? 1 - share : share)}%`;
    node.setAttribute("aria-label", `${name(point)}, ${point.status}${metric && value !== undefined ? `, ${metric.label} ${number(value)}` : ""}`);
  });
  marking();
}

function marking() {
  cells.forEach((node, index) => {
    mark(node, index);
    node.tabIndex = index === choice.chosen ? 0 : -1;
    node.setAttribute("aria-selected", index === choice.chosen);
    const badge = node.querySelector(".badge");
    if (index === choice.reference && !badge) node.append(html("span", { class: "badge" }, "reference"));
    if (index !== choice.reference && badge) badge.remove();
    const tile = tileOf(points[index]);
    const reference = tileOf(points[choice.reference]);
    if (tile) film.show(node.querySelector("canvas"), choice.flip && index === choice.chosen && reference ? reference : tile);
  });
}

// Move the choice to the nearest cell in a direction, whatever the layout is.
function move(dx, dy) {
  const here = cells[choice.chosen].isConnected ? cells[choice.chosen].getBoundingClientRect() : null;
  const shown = cells.filter((node) => node.isConnected);
  if (!here) { shown[0]?.focus(); return; }
  let best = null, least = Infinity;
  for (const node of shown) {
    const there = node.getBoundingClientRect();
    const x = there.left - here.left, y = there.top - here.top;
    const along = x * dx + y * dy, off = Math.abs(x * dy) + Math.abs(y * dx);
    const far = along + 3 * off;
    if (along > 4 && far < least) [best, least] = [node, far];
  }
  best?.focus();
  best?.scrollIntoView({ block: "nearest", inline: "nearest" });
}

function controls() {
  const options = (chosen, none) => [[NONE, none], ...axes.map((axis, index) => [index, axis.label])]
    .map(([value, label]) => html("option", { value, selected: value === chosen }, label));
  const pick = (label, nodes, act, title = label) => html("label", { title }, label, html("select", { "aria-label": label, onchange: (event) => act(Number(event.target.value)) }, ...nodes));
  const swap = (side, other) => (value) => choose({ [side]: value, ...(value !== NONE && value === choice[other] ? { [other]: choice[side] } : {}) });
  const rest = axes.map((axis, index) => ({ axis, index })).filter(({ axis, index }) => index !== choice.x && index !== choice.y && axis.values.length > 1);
  const focused = document.activeElement?.getAttribute?.("aria-label");
  $("controls").replaceChildren(
    ...(axes.length ? [pick("Across", options(choice.x, "all renders"), swap("x", "y")), pick("Down", options(choice.y, "one row"), swap("y", "x"))] : []),
    ...rest.map(({ axis, index }) => pick(axis.label, [[-1, "all"], ...axis.values.map((value, at) => [at, short(value, 60)])]
      .map(([value, label]) => html("option", { value, selected: value === choice.fixed[index] }, label)),
    (value) => choose({ fixed: choice.fixed.with(index, value) }), axis.key)),
    ...(metrics.length ? [pick("Number", metrics.map((metric, index) => html("option", { value: index, selected: index === choice.metric, title: metric.about }, metric.label)), (value) => choose({ metric: value }))] : []),
    html("label", {}, "Size", html("input", { type: "range", id: "zoom", min: 56, max: 640, value: choice.zoom, "aria-label": "Size of the clips", oninput: (event) => choose({ zoom: Number(event.target.value), sized: true }) })),
  );
  if (focused) $("controls").querySelector(`[aria-label="${CSS.escape(focused)}"]`)?.focus();
}

function refit() {
  if (!choice.sized) choose({ zoom: fit() });
}

function zooming() {
  document.documentElement.style.setProperty("--cell", `${choice.zoom}px`);
  if ($("zoom")) $("zoom").value = choice.zoom;
}
onChange(["x", "y", "fixed"], () => { controls(); layout(); refit(); });
onChange(["metric"], caption);
onChange(["reference"], caption);
onChange(["hover", "chosen", "ranges", "flip"], marking);
onChange(["zoom"], zooming);

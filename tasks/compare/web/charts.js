// The trade-off as a scatter with its front, and all settings and numbers as parallel axes; both linked with the grid.
let dots = [], lines = [];

function trade() {
  const area = $("trade");
  if (metrics.length < 2) {
    area.replaceChildren(html("p", {}, "A trade-off needs two numbers for each render; these renders have fewer."));
    $("trade-controls").replaceChildren();
    return;
  }
  const pick = (side) => html("select", { "aria-label": side === "tradeX" ? "Across the trade-off" : "Up the trade-off", onchange: (event) => choose({ [side]: Number(event.target.value) }) },
    ...metrics.map((metric, index) => html("option", { value: index, selected: index === choice[side] }, metric.label)));
  const turn = (side) => {
    const index = choice[side], up = choice.up[index];
    return html("button", { type: "button", class: "quiet", title: "Which way is better", onclick: () => choose({ up: choice.up.with(index, !up) }) }, up ? "\u2191 better" : "\u2193 better");
  };
  $("trade-controls").replaceChildren(pick("tradeX"), turn("tradeX"), html("span", { class: "lone" }, "against"), pick("tradeY"), turn("tradeY"));

  const width = Math.max(300, area.clientWidth), height = 300, box = { left: 52, right: width - 14, top: 30, bottom: height - 40 };
  const [mx, my] = [metrics[choice.tradeX], metrics[choice.tradeY]];
  const scale = (metric, from, to) => {
    const [low, high] = metricExtent[metrics.indexOf(metric)], pad = (high - low || Math.abs(high) || 1) * 0.06;
    const at = (value) => from + (to - from) * (value - low + pad) / (high - low + 2 * pad);
    return { at, ticks: ticks(low, high) };
  };
  const sx = scale(mx, box.left, box.right), sy = scale(my, box.bottom, box.top);
  const spots = points.map((point, index) => ({ index, x: point.metrics[mx.key], y: point.metrics[my.key] }))
    .filter(({ x, y }) => x !== undefined && y !== undefined);
  const best = front(spots, choice.up[choice.tradeX], choice.up[choice.tradeY]);
  const picture = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": `${my.label} against ${mx.label}, ${spots.length} renders, ${best.length} on the front` });
  for (const tick of sx.ticks) picture.append(svg("line", { class: "rule", x1: sx.at(tick), x2: sx.at(tick), y1: box.top, y2: box.bottom }), svg("text", { x: sx.at(tick), y: box.bottom + 15, "text-anchor": "middle" }, number(tick)));
  for (const tick of sy.ticks) picture.append(svg("line", { class: "rule", x1: box.left, x2: box.right, y1: sy.at(tick), y2: sy.at(tick) }), svg("text", { x: box.left - 7, y: sy.at(tick) + 4, "text-anchor": "end" }, number(tick)));
  picture.append(
    svg("text", { class: "name", x: box.right, y: height - 6, "text-anchor": "end" }, `${mx.label} ${choice.up[choice.tradeX] ? "\u2192 better" : "\u2190 better"}`),
    svg("text", { class: "name", x: 4, y: 14 }, `${choice.up[choice.tradeY] ? "\u2191" : "\u2193"} ${my.label} better`),
    svg("polyline", { class: "front", points: best.map(({ x, y }) => `${sx.at(x)},${sy.at(y)}`).join(" ") }));
  const top = new Set(best.map(({ index }) => index));
  dots = spots.map(({ index, x, y }) => {
    const dot = svg("circle", { class: `dot${top.has(index) ? " best" : ""}`, cx: sx.at(x), cy: sy.at(y), r: top.has(index) ? 6 : 5, onclick: () => choose({ chosen: index }), ...hovering(index), "data-point": index },
      svg("title", {}, `${name(points[index])}\n${mx.label} ${number(x)}\n${my.label} ${number(y)}`));
    return { dot, index };
  });
  picture.append(...dots.map(({ dot }) => dot));
  area.replaceChildren(picture);
  chartMarks();
}

// Points that no other point beats in both numbers, by x.
function front(spots, upX, upY) {
  const sign = [upX ? 1 : -1, upY ? 1 : -1];
  const order = [...spots].sort((a, b) => sign[0] * (b.x - a.x) || sign[1] * (b.y - a.y));
  let most = -Infinity;
  return order.filter(({ y }) => (sign[1] * y > most ? ((most = sign[1] * y), true) : false)).sort((a, b) => a.x - b.x);
}

function ticks(low, high) {
  if (high === low) return [low];
  const raw = (high - low) / 5, power = 10 ** Math.floor(Math.log10(raw));
  const step = power * [1, 2, 5, 10].find((one) => one * power >= raw * 0.999);
  const found = [];
  for (let at = Math.ceil(low / step - 1e-9); at * step <= high + step * 1e-9; at++) found.push(at * step);
  return found;
}

function parallel() {
  const area = $("parallel");
  const shown = columns.filter((column) => new Set(points.map(column.value)).size > 1).slice(0, 14);
  if (shown.length < 2) {
    area.replaceChildren(html("p", {}, "Nothing to draw: the renders differ in fewer than two settings or numbers."));
    return;
  }
  const width = Math.max(area.clientWidth, shown.length * 92), height = 300, top = 46, bottom = height - 20, pad = 68;
  const at = (index) => pad + index * (width - 2 * pad) / (shown.length - 1);
  const scales = shown.map((column) => {
    const [low, high] = extent(points.map(column.value));
    const down = column.better === "lower";   // up is better wherever a direction is known
    const y = (value) => { const share = (value - low) / (high - low || 1); return down ? top + share * (bottom - top) : bottom - share * (bottom - top); };
    const back = (place) => { const share = Math.min(1, Math.max(0, (bottom - place) / (bottom - top))); return low + (down ? 1 - share : share) * (high - low); };
    return { column, low, high, down, y, back };
  });
  const picture = svg("svg", { viewBox: `0 0 ${width} ${height}`, style: `min-width:${width}px` });
  lines = points.map((point, index) => {
    let path = "", pen = "M";
    scales.forEach(({ column, y }, place) => {
      const value = column.value(point);
      if (value === null) { pen = "M"; return; }
      path += `${pen}${at(place).toFixed(1)} ${y(value).toFixed(1)}`;
      pen = "L";
    });
    const line = svg("path", { class: "line", d: path || "M0 0" });
    const touch = svg("path", { class: "touch", d: path || "M0 0", onclick: () => choose({ chosen: index }), ...hovering(index) }, svg("title", {}, name(point)));
    return { line, touch, index };
  });
  picture.append(...lines.map(({ line }) => line), ...lines.map(({ touch }) => touch));
  scales.forEach((scale, place) => picture.append(ruler(scale, at(place), place, top, bottom, picture)));
  area.replaceChildren(html("div", { class: "scroll" }, picture));
  $("clear").hidden = !choice.ranges.size;
  chartMarks();
}

function ruler(scale, x, place, top, bottom, picture) {
  const { column, low, high, down, y, back } = scale;
  const range = choice.ranges.get(column.key);
  const axis = column.axis && !column.axis.numeric ? column.axis : null;
  const label = (value) => (axis ? short(axis.values[Math.round(value)], 11) : number(value));
  const group = svg("g", {}, svg("line", { class: "axis", x1: x, x2: x, y1: top, y2: bottom }));
  if (range) {
    const [one, two] = [y(range[0]), y(range[1])].sort((a, b) => a - b);
    group.append(svg("rect", { class: "brush", x: x - 6, width: 12, y: one - 4, height: two - one + 8, rx: 3 }));
  }
  group.append(
    svg("text", { class: "name", x, y: place % 2 ? 12 : 27, "text-anchor": "middle" }, short(column.label, 24), svg("title", {}, column.title)),
    svg("text", { x, y: top - 6, "text-anchor": "middle" }, label(down ? low : high)),
    svg("text", { x, y: bottom + 14, "text-anchor": "middle" }, label(down ? high : low)));
  const handle = svg("rect", { class: "handle", x: x - 11, width: 22, y: top - 4, height: bottom - top + 8, "data-key": column.key },
    svg("title", {}, `Drag to keep a range of ${column.label}`));
  handle.addEventListener("pointerdown", (event) => {
    const frame = picture.getBoundingClientRect(), unit = 300 / frame.height;
    const from = (event.clientY - frame.top) * unit;
    handle.setPointerCapture(event.pointerId);
    handle.addEventListener("pointerup", (up) => {
      const to = (up.clientY - frame.top) * unit, ranges = new Map(choice.ranges);
      if (Math.abs(to - from) < 4) ranges.delete(column.key);
      else ranges.set(column.key, [back(from), back(to)].sort((a, b) => a - b));
      choose({ ranges });
    }, { once: true });
  });
  group.append(handle);
  return group;
}

function chartMarks() {
  for (const { dot, index } of dots) mark(dot, index);
  for (const { line, index } of lines) mark(line, index);
  for (const on of [choice.reference, choice.chosen, choice.hover]) {   // what matters lies on top
    const line = lines.find(({ index }) => index === on)?.line, dot = dots.find(({ index }) => index === on)?.dot;
    if (line && line.nextSibling) line.parentNode.insertBefore(line, lines.find(({ touch }) => touch.parentNode)?.touch ?? null);
    if (dot) dot.classList.toggle("hover", on === choice.hover);
  }
}
onChange(["tradeX", "tradeY", "up"], trade);
onChange(["ranges"], parallel);
onChange(["hover", "chosen", "reference"], chartMarks);

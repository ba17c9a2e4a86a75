// A tile for each render: a shell until it comes near the window, and again when it is far from it, so that a thousand
// renders cost what a few screenfuls do.
const tiles = new Map();      // run -> article, kept over filtering
const PASSING = 60;           // ms
let near;

const picture = (one, role = "result") => `thumb/${one.run}/${role}.webp`;
const livePicture = (one) => (!served ? "" : one.progress?.picture ? `live/${one.run}.webp?at=${one.progress.picture}` : one.left ? `live/${one.run}.webp` : "");

function watching() {
  const coming = new Map();   // tiles that are only scrolled past ask for nothing
  near = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      clearTimeout(coming.get(target));
      if (isIntersecting) coming.set(target, setTimeout(() => { coming.delete(target); fill(target); }, PASSING));
      else target.replaceChildren();
    }
  }, { rootMargin: "500px" });
}

function tile(one) {
  if (!tiles.has(one.run)) {
    const node = html("article", { class: "tile", tabindex: -1, "data-run": one.run, "aria-label": `${called(one)}, ${one.when}` });
    node.addEventListener("click", (event) => { if (!event.target.closest("button, input")) (event.ctrlKey || event.metaKey || event.shiftKey ? pick(one.run) : openDetail(one.run)); });
    node.addEventListener("pointerenter", () => { node.dataset.source = byRun(one.run)?.source ? "yes" : ""; shoot(node, byRun(one.run)); });
    node.addEventListener("pointerleave", () => { node.dataset.source = ""; shoot(node, byRun(one.run)); });
    tiles.set(one.run, node);
    near.observe(node);
  }
  return tiles.get(one.run);
}

function fill(node) {
  const one = byRun(node.dataset.run);
  if (!one) return;
  node.className = `tile ${one.status}${state.picked.has(one.run) ? " picked" : ""}`;
  const best = headline(one, 2);
  const change = one.changes.slice(0, 3).flatMap(([key, , now], index) => [index ? " \u00B7 " : "", html("b", {}, key), key.startsWith("prompt") ? "" : ` ${short(now, 28)}`]);
  node.replaceChildren(
    html("div", { class: "shot" }),
    html("input", { type: "checkbox", class: "pick", tabindex: -1, checked: state.picked.has(one.run), "aria-label": "Choose for comparing", onchange: () => pick(one.run) }),
    html("div", { class: "text" },
      html("div", { class: "name" }, html("b", { dir: "auto", title: called(one) }, called(one)), html("span", { class: "quiet when" }, one.when.slice(5, 16))),
      html("p", { class: "words", dir: "auto", title: one.prompt }, short(one.prompt, 160)),
      html("p", { class: "changes", title: one.changes.map(([key, was, now]) => `${key}: ${short(was, 80)} \u2192 ${short(now, 80)}`).join("\n") }, ...(change.length ? change : [one.status === "reused" ? "nothing new: all from the store" : "\u2014"])),
      html("p", { class: "quiet" }, best.map((metric) => `${metric.label} ${figure(one, metric)}`).join(" \u00B7 ") || one.model || "\u00A0"),
      html("div", { class: "foot" }, stars(one), html("span", { class: "quiet" }, one.note ? "\u270E note" : one.sweep ? "sweep" : ""))));
  shoot(node, one);
}

// The picture of a tile: the result, the source while the pointer is on it, the clip as it stands while it is drawn.
function shoot(node, one) {
  const shot = node.querySelector(".shot");
  if (!shot || !one) return;
  const at = one.status === "running" ? progressOf(one) : null;
  const source = node.dataset.source === "yes";
  const url = source ? picture(one, "source") : one.status === "done" || one.status === "reused" ? picture(one) : livePicture(one);
  const key = `${url} ${state.still}`;
  if (shot.dataset.key !== key) {
    shot.dataset.key = key;
    const lone = () => html("p", { class: "gone" }, html("b", {}, one.status === "done" || one.status === "reused" ? "no picture is left" : one.status), one.reason && short(one.reason, 180));
    if (!url) shot.replaceChildren(lone());
    else {
      const image = html("img", { alt: "", decoding: "async", draggable: "false" });
      image.addEventListener("error", () => {
        if (shot.dataset.key !== key) return;
        if (source) { one.source = false; node.dataset.source = ""; shoot(node, one); } else { shot.replaceChildren(lone()); progress(shot, one); }
      });
      image.addEventListener("load", () => { if (shot.dataset.key === key) shot.replaceChildren(...[state.still ? held(image) : image, one.status === "failed" || one.status === "interrupted" ? html("span", { class: "badge" }, one.status) : null, source && html("span", { class: "badge source" }, "source")].filter(Boolean)); progress(shot, one); });
      image.src = url;
    }
  }
  progress(shot, one, at);
}

function progress(shot, one, at = one.status === "running" ? progressOf(one) : null) {
  shot.querySelectorAll(".running, .meter").forEach((node) => node.remove());
  if (one.status !== "running") return;
  shot.append(html("span", { class: "badge running" }, at ? at.text : "running"), html("div", { class: "meter" }, html("i", { style: `width:${100 * (at?.share ?? 0)}%` })));
}

// The first frame of an animated picture, as a canvas.
function held(image) {
  const canvas = html("canvas", { width: image.naturalWidth, height: image.naturalHeight });
  canvas.getContext("2d").drawImage(image, 0, 0);
  return canvas;
}

function stars(one) {
  return html("span", { class: "stars", role: "group", "aria-label": `${one.stars} of 5 stars` }, ...[1, 2, 3, 4, 5].map((count) =>
    html("button", { type: "button", tabindex: -1, class: count <= one.stars ? "on" : "", disabled: !served, title: served ? `${count} star${count > 1 ? "s" : ""} (${count})` : "", "aria-label": `${count} stars`, onclick: () => mark(one.run, { stars: one.stars === count ? 0 : count }) }, count <= one.stars ? "\u2605" : "\u2606")));
}

// Stars and notes are kept beside the record; what the server does not take is put back.
async function mark(run, change) {
  const one = byRun(run);
  if (!served || !one) return;
  const before = { stars: one.stars, note: one.note };
  Object.assign(one, change);
  redraw(run);
  try {
    const answer = await fetch(`marks/${run}`, { method: "POST", headers: { "Content-Type": "application/json", "X-Rotoscope-Token": token }, body: JSON.stringify({ stars: one.stars, note: one.note }) });
    if (!answer.ok) throw new Error(await answer.text());
  } catch (error) {
    Object.assign(one, before);
    redraw(run);
    say(`not kept: ${error.message}`);
  }
}

function redraw(run) {
  const node = tiles.get(run);
  if (node?.firstChild) fill(node);
  const shown = $("detail").open && $("detail").dataset.run === run && $("detail").querySelector(".stars");
  if (shown) shown.replaceWith(stars(byRun(run)));
}

function pick(run) {
  if (!state.picked.delete(run)) state.picked.add(run);
  const node = tiles.get(run);
  node?.classList.toggle("picked", state.picked.has(run));
  const box = node?.querySelector(".pick");
  if (box) box.checked = state.picked.has(run);
  chosen();
}

function chosen() {
  const count = state.picked.size;
  $("chosen").hidden = !count;
  $("tiles").classList.toggle("picking", count > 0);
  $("chosen-count").textContent = `${count} chosen${count === 1 ? ": choose another to compare" : ""}`;
  $("compare-button").disabled = count < 2;
}

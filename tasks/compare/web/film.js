// One film holds all clips, a tile each: one clock, one decoder. Each of its frames is copied once to a sheet, and every
// canvas is cut from that sheet in the same turn, so that no two clips can stand at different frames.
const film = (() => {
  const { fps, frames, width, height } = data.film;
  const video = html("video", { class: "reel", muted: true, playsinline: true, preload: "auto", tabindex: -1, "aria-hidden": "true" });
  const sheet = html("canvas", { width, height }).getContext("2d", { alpha: false });
  const views = new Map();   // canvas -> tile
  const visible = new Set();
  let frame = 0, wanted = null, aim = null, ready = false;   // aim: where a seek goes, until its picture is there
  video.muted = true;
  video.loop = true;

  const seen = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      if (isIntersecting) visible.add(target);
      else visible.delete(target);
      if (isIntersecting && ready) cut(target);
    }
  }, { rootMargin: "80px" });

  function cut(canvas) {
    const tile = views.get(canvas);
    if (!tile) return;
    const [x, y, w, h] = tile;
    canvas.getContext("2d", { alpha: false }).drawImage(sheet.canvas, x, y, w, h, 0, 0, w, h);
    canvas.dataset.frame = frame;
    canvas.parentElement?.classList.toggle("over", frame >= tile[4]);
  }

  function paint(time) {
    frame = Math.min(frames - 1, Math.max(0, Math.round(time * fps)));
    sheet.drawImage(video, 0, 0, width, height);
    ready = true;
    for (const canvas of visible) cut(canvas);
    for (const tell of told) tell();
  }
  const told = [];

  // The callback says which frame the picture is of; where a browser lacks it, the clock has to do.
  const presented = "requestVideoFrameCallback" in video;
  function follow() {
    if (presented) video.requestVideoFrameCallback((_, { mediaTime }) => { paint(mediaTime); follow(); });
    else requestAnimationFrame(() => { if (!video.paused && !video.seeking) paint(Math.floor(video.currentTime * fps + 0.01) / fps); follow(); });
  }

  function go() {
    if (wanted === null || video.seeking) return;
    video.currentTime = (wanted + 0.5) / fps;
    wanted = null;
  }
  video.addEventListener("seeked", () => {
    if (wanted !== null) { go(); return; }
    aim = null;
    if (video.paused) paint(Math.floor(video.currentTime * fps) / fps);
  });
  video.addEventListener("loadeddata", () => {
    if (!presented || !ready) paint(0);
    document.documentElement.dataset.ready = Math.round(performance.now());
  });
  video.addEventListener("error", () => {
    $("trouble").hidden = false;
    $("trouble").textContent = `This browser cannot play the clips (H.264): ${video.error?.message || "no reason given"}`;
  });
  for (const event of ["play", "pause"]) video.addEventListener(event, () => { for (const tell of told) tell(); });

  return {
    fps, frames,
    get frame() { return aim ?? frame; },
    get playing() { return !video.paused; },
    load() {
      document.body.append(video);
      const bytes = decoded($("film").textContent);
      $("film").remove();
      video.src = URL.createObjectURL(new Blob([bytes], { type: "video/mp4" }));
      follow();
    },
    play() { aim = wanted = null; video.play().catch(() => {}); },
    pause() {
      video.pause();
      aim = wanted = frame;   // rest on the very frame that is shown
      go();
    },
    toggle() { if (video.paused) this.play(); else this.pause(); },
    seek(to) {
      if (!video.paused) video.pause();
      aim = wanted = Math.min(frames - 1, Math.max(0, to));
      go();
    },
    step(by) { this.seek((this.frame + by + frames) % frames); },
    rate(value) { video.playbackRate = value; },
    rateNow: () => video.playbackRate,
    // Show a tile on a canvas from now on; null: nothing.
    show(canvas, tile) {
      if (views.get(canvas) === tile) return;
      views.set(canvas, tile);
      [canvas.width, canvas.height] = [tile[2], tile[3]];
      seen.observe(canvas);
      if (ready && visible.has(canvas)) cut(canvas);
    },
    drop(canvas) {
      views.delete(canvas);
      visible.delete(canvas);
      seen.unobserve(canvas);
    },
    onFrame: (tell) => told.push(tell),
  };
})();
// Bytes of base64; the loop is for browsers that cannot do it themselves yet.
function decoded(text) {
  if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
  const letters = atob(text), bytes = new Uint8Array(letters.length);
  for (let at = 0; at < letters.length; at++) bytes[at] = letters.charCodeAt(at);
  return bytes;
}

const tileOf = (point) => (point.tile === null ? null : data.tiles[point.tile]);

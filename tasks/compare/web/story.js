"use strict";
const about = JSON.parse(document.getElementById("data").textContent);
const film = document.getElementById("film");
film.src = about.movie;

function made(tag, text, name) {
  const node = document.createElement(tag);
  if (text !== undefined) node.textContent = text;
  if (name) node.className = name;
  return node;
}

function clock(seconds) {
  return `${Math.floor(seconds / 60)}:${(seconds % 60).toFixed(2).padStart(5, "0")}`;
}

let until = null;
function play(shot) {
  film.currentTime = shot.start + 0.001;
  until = shot.stop;
  film.play().catch(() => undefined);
}

function row(shot) {
  const node = made("li");
  const button = made("button");
  button.title = `play ${shot.title}`;
  button.addEventListener("click", () => play(shot));
  const still = made("img");
  still.src = shot.still;
  still.alt = `key picture of ${shot.title}`;
  button.append(still);
  const words = made("div");
  words.append(made("h2", `${shot.title}, ${clock(shot.start)} to ${clock(shot.stop)}`));
  if (shot.caption) words.append(made("p", `“${shot.caption}”`));
  const told = [["picture", shot.drawn_as[0] || shot.prompt || "your own"], ["motion", shot.motion], ["camera", shot.camera],
    ["speech", shot.speech]];
  for (const [name, text] of told) if (text) words.append(made("p", `${name}: ${text}`));
  const figures = Object.entries(shot.figures).map(([name, value]) => `${name} ${Number(value).toPrecision(4)}`);
  const facts = [`seed ${shot.seed}`, `${shot.frames} frames, ${shot.seconds.toFixed(2)} s`, `by ${shot.model}`,
    shot.consistency, ...figures];
  words.append(made("p", facts.join(" · "), "facts"));
  if (shot.computed) { // a published page says nothing of it: it is the same whatever was there already
    const news = shot.computed.length ? `computed: ${shot.computed.join(", ")}` : "all of it was there already";
    words.append(made("p", news, "facts"));
  }
  node.append(button, words);
  return node;
}

const rows = about.shots.map(row);
document.getElementById("shots").append(...rows);
const loudness = about.figures.loudness || {};
const heard = Object.entries(loudness).filter((one) => typeof one[1] === "number")
  .map(([name, value]) => `${name} ${value.toFixed(1)}`);
document.getElementById("told").textContent = [`${about.shots.length} shots, ${about.frames} frames`,
  clock(about.frames / about.fps), ...heard].join(" · ");

film.addEventListener("timeupdate", () => {
  if (until !== null && film.currentTime >= until) {
    film.pause();
    until = null;
  }
  about.shots.forEach((shot, number) => {
    rows[number].classList.toggle("now", film.currentTime >= shot.start && film.currentTime < shot.stop);
  });
});
film.addEventListener("seeking", () => {
  if (until !== null && film.currentTime > until) until = null;
});

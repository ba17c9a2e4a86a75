// What every page is made with. Text from renders is hostile: it only ever becomes text nodes and attribute values, never
// markup.
const $ = (id) => document.getElementById(id);

function make(namespace, tag, attributes, children) {
  const node = namespace ? document.createElementNS(namespace, tag) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined && child !== false && child !== ""));
  return node;
}
const html = (tag, attributes = {}, ...children) => make(null, tag, attributes, children);
const svg = (tag, attributes = {}, ...children) => make("http://www.w3.org/2000/svg", tag, attributes, children);
const short = (text, most) => (text.length > most ? `${[...text.slice(0, most)].join("")}\u2026` : text);

// Making a formatter is slow, using it is not.
const format = new Map([3, 4, 6].map((digits) => [digits, new Intl.NumberFormat("en", { maximumSignificantDigits: digits, useGrouping: false })]));

function number(value, digits = 4) {
  if (value === null || value === undefined) return "";
  const size = Math.abs(value);
  if (size && (size < 1e-3 || size >= 1e6)) return value.toExponential(2);
  return format.get(size >= 1000 ? 6 : digits).format(value);
}

function theme() {
  const order = ["auto", "light", "dark"];
  const next = order[(order.indexOf(document.documentElement.dataset.theme ?? "auto") + 1) % 3];
  if (next === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = next;
  $("theme").textContent = `\u25D0 ${next[0].toUpperCase()}${next.slice(1)}`;
}

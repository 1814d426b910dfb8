"use strict";
// The map of a collection: points on a canvas, drawn pixel by pixel, so that 50,000 stay smooth.
const data = JSON.parse(document.getElementById("data").textContent);
const n = data.ids.length;
const STEPS = 65535; // of a coordinate, as the file has it
const MOST_FOUND = 50; // items that are listed; all that match are highlighted
const CELLS = 128; // of the grid in which the point under the pointer is looked for
const REACH = 12; // pixels from the pointer to a point
const canvas = document.getElementById("map");
const context = canvas.getContext("2d");
const part = (id) => document.getElementById(id);
const view = { scale: 1, x: 0.5, y: 0.5 }; // the middle of the view, and how far it is zoomed in
const matches = new Uint8Array(n); // whether what was looked for is in an item
let looking = false;
let group = null; // the colour that is emphasised
let chosen = -1;
let waiting = false;

const folded = data.ids.map((id, i) => (id + "\n" + data.previews[i]).toLowerCase());
const paints = data.colours.map((c) => [1, 3, 5].map((at) => parseInt(c.slice(at, at + 2), 16)));

// Points by the cell of a grid that they are in: `order` from `starts[cell]` to `starts[cell + 1]`.
const starts = new Uint32Array(CELLS * CELLS + 1);
const order = new Uint32Array(n);
const cellAt = (value) => Math.min(CELLS - 1, Math.max(0, Math.floor((value / STEPS) * CELLS)));
const cellOf = (i) => cellAt(data.y[i]) * CELLS + cellAt(data.x[i]);
for (let i = 0; i < n; i++) starts[cellOf(i) + 1]++;
for (let cell = 0; cell < CELLS * CELLS; cell++) starts[cell + 1] += starts[cell];
const next = starts.slice();
for (let i = 0; i < n; i++) order[next[cellOf(i)]++] = i;

const side = () => Math.min(canvas.width, canvas.height) * 0.94 * view.scale;
const toX = (x) => canvas.width / 2 + (x / STEPS - view.x) * side();
const toY = (y) => canvas.height / 2 - (y / STEPS - view.y) * side();
const fromX = (x) => view.x + (x - canvas.width / 2) / side();
const fromY = (y) => view.y - (y - canvas.height / 2) / side();

function rgb(name) {
  const value = getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
  return [1, 3, 5].map((at) => parseInt(value.slice(at, at + 2), 16));
}

// How much of each pixel a dot of this radius covers, in a square about its middle.
function dot(radius) {
  const reach = Math.ceil(radius);
  const covered = [];
  for (let dy = -reach; dy <= reach; dy++) {
    for (let dx = -reach; dx <= reach; dx++) {
      const share = Math.min(1, Math.max(0, radius + 0.5 - Math.hypot(dx, dy)));
      if (share > 0) covered.push([dx, dy, share]);
    }
  }
  return covered;
}

function draw() {
  waiting = false;
  const width = canvas.width, height = canvas.height;
  const image = context.createImageData(width, height);
  const pixels = image.data;
  const paper = rgb("paper");
  for (let at = 0; at < pixels.length; at += 4) {
    pixels[at] = paper[0]; pixels[at + 1] = paper[1]; pixels[at + 2] = paper[2]; pixels[at + 3] = 255;
  }
  const ratio = window.devicePixelRatio || 1;
  const radius = ratio * Math.min(6, Math.max(1.2, 90 / Math.sqrt(n + 1)) * Math.pow(view.scale, 0.35));
  const small = dot(radius), large = dot(radius * 1.7 + ratio);
  const paint = (i, mask, opacity) => {
    const x0 = Math.round(toX(data.x[i])), y0 = Math.round(toY(data.y[i]));
    if (x0 < -9 || y0 < -9 || x0 > width + 9 || y0 > height + 9) return;
    const colour = paints[data.colour[i]];
    for (const [dx, dy, share] of mask) {
      const x = x0 + dx, y = y0 + dy;
      if (x < 0 || y < 0 || x >= width || y >= height) continue;
      const at = 4 * (y * width + x), part = share * opacity;
      for (let c = 0; c < 3; c++) pixels[at + c] += (colour[c] - pixels[at + c]) * part;
    }
  };
  const stands = (i) => (!looking || matches[i]) && (group === null || data.colour[i] === group);
  const some = looking || group !== null;
  for (let i = 0; i < n; i++) if (!stands(i)) paint(i, small, 0.12);
  for (let i = 0; i < n; i++) if (stands(i)) paint(i, some && looking ? large : small, some ? 1 : 0.8);
  context.putImageData(image, 0, 0);
  if (chosen >= 0) ring(chosen, radius * 1.7 + 4 * ratio, ratio);
}

function ring(i, radius, ratio) {
  context.beginPath();
  context.arc(toX(data.x[i]), toY(data.y[i]), radius, 0, 2 * Math.PI);
  context.lineWidth = 2.5 * ratio;
  context.strokeStyle = `rgb(${rgb("ink").join(" ")})`;
  context.stroke();
}

function redraw() {
  if (!waiting) {
    waiting = true;
    requestAnimationFrame(draw);
  }
}

function resize() {
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.max(1, Math.round(canvas.clientWidth * ratio));
  canvas.height = Math.max(1, Math.round(canvas.clientHeight * ratio));
  redraw();
}

// Zoom by a factor, so that what is at these pixels of the canvas stays there.
function zoom(factor, px = canvas.width / 2, py = canvas.height / 2) {
  const x = fromX(px), y = fromY(py);
  view.scale = Math.min(400, Math.max(0.5, view.scale * factor));
  view.x += x - fromX(px);
  view.y += y - fromY(py);
  redraw();
}

function move(dx, dy) {
  view.x = Math.min(1, Math.max(0, view.x - dx / side()));
  view.y = Math.min(1, Math.max(0, view.y + dy / side()));
  redraw();
}

function showAll() {
  Object.assign(view, { scale: 1, x: 0.5, y: 0.5 });
  redraw();
}

// The point nearest to these pixels, within reach of them; -1 if there is none.
function pointAt(px, py) {
  const reach = REACH * (window.devicePixelRatio || 1);
  let best = -1, least = reach * reach;
  const rows = [cellAt(fromY(py + reach) * STEPS), cellAt(fromY(py - reach) * STEPS)];
  const columns = [cellAt(fromX(px - reach) * STEPS), cellAt(fromX(px + reach) * STEPS)];
  for (let row = rows[0]; row <= rows[1]; row++) {
    for (let column = columns[0]; column <= columns[1]; column++) {
      const cell = row * CELLS + column;
      for (let at = starts[cell]; at < starts[cell + 1]; at++) {
        const i = order[at];
        const apart = (toX(data.x[i]) - px) ** 2 + (toY(data.y[i]) - py) ** 2;
        if (apart < least && (!looking || matches[i])) { least = apart; best = i; }
      }
    }
  }
  return best;
}

// Ids and texts come from anybody: they are only ever set as text.
function told(i) {
  const lines = [["id", data.ids[i]]];
  if (data.values) lines.push(["quiet", `${data.field}: ${data.values[i] === null ? "none" : data.values[i]}`]);
  if (data.previews[i]) lines.push(["", data.previews[i]]);
  return lines.map(([style, text]) => {
    const line = document.createElement("p");
    line.className = style;
    line.textContent = text;
    return line;
  });
}

function choose(i) {
  chosen = i;
  if (i >= 0) part("chosen").replaceChildren(...told(i));
  redraw();
}

function button(text, act) {
  const made = document.createElement("button");
  made.type = "button";
  made.textContent = text;
  made.addEventListener("click", act);
  const item = document.createElement("li");
  item.append(made);
  return item;
}

function find() {
  const wanted = part("words").value.trim().toLowerCase();
  looking = wanted !== "";
  const found = [];
  for (let i = 0; i < n; i++) {
    matches[i] = looking && folded[i].includes(wanted) ? 1 : 0;
    if (matches[i]) found.push(i);
  }
  part("count").textContent = looking ? `${found.length.toLocaleString("en")} of ${n.toLocaleString("en")} found` : "";
  part("found-part").hidden = !looking;
  part("found").replaceChildren(
    ...found.slice(0, MOST_FOUND).map((i) =>
      button(data.ids[i], () => {
        Object.assign(view, { scale: Math.max(view.scale, 4), x: data.x[i] / STEPS, y: data.y[i] / STEPS });
        choose(i);
      })));
  redraw();
}

function makeLegend() {
  const legend = part("legend");
  part("legend-part").hidden = data.field === null;
  if (data.field === null) return;
  part("legend-head").textContent = data.field;
  legend.classList.toggle("scale", data.is_scale);
  const shown = [];
  data.colours.forEach((colour, number) => {
    if (!data.counts[number]) return;
    const swatch = document.createElement("span");
    swatch.className = "swatch";
    swatch.style.background = colour;
    if (data.is_scale && number < data.n_steps) {
      const item = document.createElement("li");
      item.append(swatch);
      legend.append(item);
      return;
    }
    const item = button(`${data.names[number]} (${data.counts[number].toLocaleString("en")})`, () => {
      group = group === number ? null : number;
      shown.forEach((one) => one.button.setAttribute("aria-pressed", String(one.number === group)));
      redraw();
    });
    item.firstChild.prepend(swatch);
    item.firstChild.setAttribute("aria-pressed", "false");
    shown.push({ number, button: item.firstChild });
    if (!data.is_scale) legend.append(item);
  });
  if (data.is_scale) {
    const ends = document.createElement("p");
    ends.id = "ends";
    for (const name of [data.names[0], data.names[data.n_steps - 1]]) {
      const end = document.createElement("span");
      end.textContent = name;
      ends.append(end);
    }
    legend.after(ends);
  }
}

const pixels = (event) => {
  const box = canvas.getBoundingClientRect();
  const ratio = canvas.width / box.width;
  return [(event.clientX - box.left) * ratio, (event.clientY - box.top) * ratio];
};

const held = new Map(); // pointers that are down, and where
let travelled = 0;

canvas.addEventListener("pointerdown", (event) => {
  canvas.setPointerCapture(event.pointerId);
  held.set(event.pointerId, pixels(event));
  travelled = 0;
});
canvas.addEventListener("pointermove", (event) => {
  const at = pixels(event), before = held.get(event.pointerId);
  if (before === undefined) { hover(event, at); return; }
  travelled += Math.hypot(at[0] - before[0], at[1] - before[1]);
  const other = [...held].find(([id]) => id !== event.pointerId);
  if (other === undefined) {
    move(at[0] - before[0], at[1] - before[1]);
  } else { // two fingers: as much nearer as they are farther apart
    const apart = (one) => Math.hypot(one[0] - other[1][0], one[1] - other[1][1]) || 1;
    zoom(apart(at) / apart(before), ...other[1]);
  }
  held.set(event.pointerId, at);
  part("near").hidden = true;
});
for (const name of ["pointerup", "pointercancel"]) {
  canvas.addEventListener(name, (event) => {
    if (name === "pointerup" && held.size === 1 && travelled < 5) choose(pointAt(...pixels(event)));
    held.delete(event.pointerId);
  });
}
canvas.addEventListener("pointerleave", () => { part("near").hidden = true; });
canvas.addEventListener("wheel", (event) => {
  event.preventDefault();
  zoom(Math.exp(-Math.max(-300, Math.min(300, event.deltaY)) / 400), ...pixels(event));
}, { passive: false });
canvas.addEventListener("dblclick", (event) => zoom(2, ...pixels(event)));

function hover(event, at) {
  const i = pointAt(...at), near = part("near");
  near.hidden = i < 0;
  canvas.style.cursor = i < 0 ? "grab" : "pointer";
  if (i < 0) return;
  near.replaceChildren(...told(i));
  const box = part("frame").getBoundingClientRect();
  const x = event.clientX - box.left, y = event.clientY - box.top;
  near.style.left = `${Math.max(0, Math.min(x + 14, box.width - near.offsetWidth - 4))}px`;
  near.style.top = `${Math.max(0, y + 14 + near.offsetHeight > box.height ? y - near.offsetHeight - 10 : y + 14)}px`;
}

const KEYS = {
  "+": () => zoom(1.4), "=": () => zoom(1.4), "-": () => zoom(1 / 1.4), "0": showAll,
  ArrowLeft: () => move(60, 0), ArrowRight: () => move(-60, 0),
  ArrowUp: () => move(0, 60), ArrowDown: () => move(0, -60),
};
canvas.addEventListener("keydown", (event) => {
  const act = KEYS[event.key];
  if (act && !event.ctrlKey && !event.metaKey && !event.altKey) {
    event.preventDefault();
    act();
  }
});
part("nearer").addEventListener("click", () => zoom(1.4));
part("farther").addEventListener("click", () => zoom(1 / 1.4));
part("whole").addEventListener("click", showAll);
part("words").addEventListener("input", find);
part("find").addEventListener("submit", (event) => event.preventDefault());
window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
new ResizeObserver(resize).observe(canvas);
makeLegend();
find(); // browsers keep what was typed when a page is loaded again

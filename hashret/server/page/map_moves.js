// How the map is moved: pointers drag, pinch and draw a lasso; the wheel zooms; keys do the same.

import { at } from "./elements.js";
import { isWithin } from "./plot.js";

const STEP = 60; // CSS pixels that an arrow key moves
const STILL = 4; // CSS pixels: a pointer that moved less has pressed, not dragged

const distance = ([a, b]) => Math.hypot(a[0] - b[0], a[1] - b[1]);
const middle = ([a, b]) => [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2];

// `select(numbers, how)`, `open(number)` and `point(number, x, y)` are told what a person does.
export function moves(canvas, plot, { select, open, point }) {
  const pointers = new Map(); // those that are down -> where
  let travelled = 0;
  let draws = false;

  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };

  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, place(event));
    travelled = 0;
    draws = pointers.size === 1 && (event.shiftKey || at("map-lasso").getAttribute("aria-pressed") === "true");
    plot.outline = draws ? [place(event)] : [];
  });

  canvas.addEventListener("pointermove", (event) => {
    const now = place(event);
    const before = pointers.get(event.pointerId);
    if (!before) {
      point(plot.nearest(...now), ...now);
      return;
    }
    const [dx, dy] = [now[0] - before[0], now[1] - before[1]];
    travelled += Math.hypot(dx, dy);
    if (draws) {
      plot.outline.push(now);
      plot.redraw();
    } else if (pointers.size === 2) {
      const two = [...pointers.values()];
      pointers.set(event.pointerId, now);
      const after = [...pointers.values()];
      plot.zoom(distance(after) / (distance(two) || 1), ...middle(after));
      plot.pan(dx / 2, dy / 2);
      return;
    } else if (travelled > STILL) {
      plot.pan(dx, dy);
    }
    pointers.set(event.pointerId, now);
  });

  const ended = (event) => {
    if (!pointers.delete(event.pointerId)) return;
    const corners = plot.outline;
    plot.outline = [];
    if (draws && corners.length > 2) {
      select(plot.where((x, y) => isWithin(corners, x, y)), "within the lasso");
    } else if (travelled <= STILL && event.type === "pointerup") {
      const found = plot.nearest(...place(event));
      if (found >= 0) open(found);
    }
    draws = false;
    plot.redraw();
  };
  canvas.addEventListener("pointerup", ended);
  canvas.addEventListener("pointercancel", ended);
  canvas.addEventListener("pointerleave", () => point(-1));

  canvas.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      plot.zoom(Math.exp(-event.deltaY * (event.deltaMode ? 0.03 : 0.0015)), ...place(event));
    },
    { passive: false },
  );

  const keys = {
    ArrowLeft: () => plot.pan(STEP, 0),
    ArrowRight: () => plot.pan(-STEP, 0),
    ArrowUp: () => plot.pan(0, STEP),
    ArrowDown: () => plot.pan(0, -STEP),
    "+": () => plot.zoom(1.3),
    "=": () => plot.zoom(1.3),
    "-": () => plot.zoom(1 / 1.3),
    0: () => plot.reset(),
    l: () => select(plot.inView(), "in view"),
    Enter: () => {
      const found = plot.nearest(canvas.clientWidth / 2, canvas.clientHeight / 2, Infinity);
      if (found >= 0) open(found);
    },
  };
  canvas.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !keys[event.key]) return;
    event.preventDefault();
    keys[event.key]();
  });

  at("map-lasso").addEventListener("click", ({ currentTarget: button }) => {
    button.setAttribute("aria-pressed", String(button.getAttribute("aria-pressed") !== "true"));
    canvas.classList.toggle("draws", button.getAttribute("aria-pressed") === "true");
  });
}

// The view of all items in the plane: near each other where their codes are.

import * as collections from "./collections.js";
import { PLAIN, coloured, css } from "./colours.js";
import { at, count, element, readable, say } from "./elements.js";
import { glimpse, link, metadata } from "./items.js";
import { moves } from "./map_moves.js";
import { Plot } from "./plot.js";
import { address, current, go } from "./routes.js";
import { shownIds } from "./search.js";
import { ask, segment, withParameters } from "./server.js";

const MOST_LISTED = 200; // of selected items
const POLL = 700; // ms between two looks at a map that is being laid out

let plot;
let told = null; // what /v1/map told, and of which collection
let groups = [];
let last = 0;

export async function show({ parameters }) {
  const mine = ++last;
  const field = parameters.field ?? "";
  try {
    if (told?.collection !== collections.name() || (told.field ?? "") !== field) {
      const arrived = await laidOut(field, () => mine === last);
      if (mine !== last) return;
      told = arrived;
      offerFields(field);
    }
    drawAll();
  } catch (error) {
    if (mine !== last) return;
    at("map-progress").hidden = true;
    if (error.isNoEndpoint) throw error;
    say(at("map-said"), error.message, true);
  }
}

// The map, once it is laid out; until then the share that is done is shown.
async function laidOut(field, goesOn) {
  say(at("map-said"), "");
  for (;;) {
    const path = withParameters("/v1/map", { collection: collections.name(), field });
    const arrived = await ask(path);
    if (arrived.status !== "computing") {
      at("map-progress").hidden = true;
      return { ...arrived, collection: collections.name() };
    }
    if (!goesOn()) return null;
    at("map-progress").hidden = false;
    at("map-progress").value = arrived.done;
    say(at("map-said"), "The map is being laid out; it is kept for this commit.");
    await new Promise((resolve) => setTimeout(resolve, POLL));
    if (!goesOn()) return null;
  }
}

function drawAll() {
  plot ??= started();
  const style = getComputedStyle(document.documentElement);
  plot.ink = style.getPropertyValue("--ink-now") || style.color;
  plot.accent = getComputedStyle(at("map-canvas")).outlineColor;
  const by = told.values ? coloured(told.values) : null;
  groups = by?.groups ?? [];
  plot.points = {
    x: Float32Array.from(told.x),
    y: Float32Array.from(told.y, (y) => 1 - y), // the server counts upwards
    colours: by?.colours ?? new Uint32Array(told.x.length).fill(PLAIN),
    faint: new Uint8Array(told.x.length),
  };
  const ringed = new Set(shownIds());
  plot.rings = told.ids.flatMap((id, i) => (ringed.has(id) ? [i] : []));
  plot.chosen = -1;
  showLegend(by?.legend ?? []);
  const left = told.shown < told.n_items ? ` of ${told.n_items.toLocaleString("en")}` : "";
  const rings = plot.rings.length ? `; ${count(plot.rings.length, "hit")} of the last query ringed` : "";
  say(at("map-said"), `${count(told.shown, "item")}${left}${rings}.`);
  plot.redraw();
}

// The fields of a few items: what the points can be coloured by.
async function offerFields(chosen) {
  const { ids } = told;
  const some = [0, ids.length >> 1, ids.length - 1].filter((i, j, all) => all.indexOf(i) === j && ids[i] !== undefined);
  const parameters = { collection: collections.name() };
  const items = await Promise.all(
    some.map((i) => ask(withParameters(`/v1/items/${segment(ids[i])}`, parameters)).catch(() => null)),
  );
  const names = new Set(items.flatMap((item) => Object.keys(item?.metadata ?? {})));
  if (chosen) names.add(chosen);
  at("map-field").replaceChildren(
    element("option", { value: "" }, "nothing"),
    ...[...names].sort().map((name) => element("option", { value: name }, name)),
  );
  at("map-field").value = chosen;
  at("map-colour").hidden = !names.size;
}

// Rows of the legend are buttons: the pressed ones' points are shown, the others faintly.
function showLegend(rows) {
  const alone = new Set();
  const press = (i) => {
    if (!alone.delete(i)) alone.add(i);
    buttons.forEach((button, j) => button.setAttribute("aria-pressed", String(alone.has(j))));
    plot.points.faint = Uint8Array.from(groups, (group) => Number(alone.size && !alone.has(group)));
    plot.redraw();
  };
  const buttons = rows.map(({ label, colour, n }, i) => {
    const swatch = element("span", { class: "swatch" });
    swatch.style.background = css(colour);
    return element(
      "button",
      { type: "button", "aria-pressed": "false", click: () => press(i) },
      swatch,
      element("bdi", {}, label),
      element("span", { class: "n" }, n.toLocaleString("en")),
    );
  });
  at("map-legend").replaceChildren(...buttons);
  at("map-legend").hidden = !rows.length;
}

// List the selected items.
function select(numbers, how) {
  const listed = numbers.slice(0, MOST_LISTED);
  at("map-selection").hidden = false;
  const rest = numbers.length > listed.length ? `, the first ${listed.length} of them listed` : "";
  say(at("map-selected"), `${count(numbers.length, "item")} ${how}${rest}.`);
  at("map-list").replaceChildren(...listed.map((i) => element("li", {}, link(told.ids[i]), valueOf(i))));
  at("map-copy").hidden = !numbers.length;
  at("map-copy").onclick = async () => {
    await navigator.clipboard.writeText(numbers.map((i) => told.ids[i]).join("\n"));
    say(at("map-selected"), `${count(numbers.length, "id")} copied.`);
  };
}

function valueOf(i) {
  const value = told.values?.[i];
  return value === undefined || value === null ? null : element("span", { class: "n" }, readable(value));
}

// Show one item beside the map.
async function open(i) {
  plot.chosen = i;
  plot.redraw();
  const id = told.ids[i];
  const place = at("map-item");
  place.hidden = false;
  place.replaceChildren(element("h2", {}, link(id)));
  const path = withParameters(`/v1/items/${segment(id)}`, { collection: collections.name() });
  const item = await ask(path).catch(() => null);
  if (plot.chosen !== i || !item) return;
  const neighbours = element("a", { class: "button", href: address("search", { id }) }, "Its neighbours");
  const parts = [element("h2", {}, link(id)), glimpse(item), metadata(item.metadata), neighbours];
  place.replaceChildren(...parts.filter(Boolean));
}

function point(i, x, y) {
  const tip = at("map-tip");
  tip.hidden = i < 0;
  if (i < 0) return;
  tip.replaceChildren(...[element("bdi", {}, told.ids[i]), valueOf(i)].filter(Boolean));
  tip.style.left = `${x}px`;
  tip.style.top = `${y}px`;
}

function started() {
  const canvas = at("map-canvas");
  const made = new Plot(canvas);
  moves(canvas, made, { select, open, point });
  at("map-closer").addEventListener("click", () => made.zoom(1.6));
  at("map-farther").addEventListener("click", () => made.zoom(1 / 1.6));
  at("map-whole").addEventListener("click", () => made.reset());
  at("map-in-view").addEventListener("click", () => select(made.inView(), "in view"));
  return made;
}

export function start() {
  at("map-field").addEventListener("change", () => {
    const { parameters } = current();
    go(address("map", { ...parameters, field: at("map-field").value }));
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => told && plot && drawAll());
}

// The view of the bits: what turns each, how even it is, what it tells that no other does.

import * as collections from "./collections.js";
import { at, count, drawing, element, partName, percent, say } from "./elements.js";
import { glimpse, link } from "./items.js";
import { address, current, go } from "./routes.js";
import { ask, withParameters } from "./server.js";

const kept = new Map(); // what was told of a bit, or of all, by address
let last = 0;

function told(bit) {
  const { commit } = collections.facts();
  const path = withParameters("/v1/bits", { collection: collections.name(), bit });
  const key = `${commit} ${path}`;
  if (!kept.has(key)) {
    const answer = ask(path);
    kept.set(key, answer);
    answer.catch(() => kept.delete(key));
  }
  return kept.get(key);
}

// Elements that say what turns a bit, for a line of text; null where that can't be told.
export async function aboutBit(j) {
  try {
    const { bits } = await told(j);
    const parts = [`${percent(bits[0].ones)} of the items have a one. `];
    for (const [side, value] of [[bits[0].for_one, 1], [bits[0].for_zero, 0]]) {
      const words = side.filter((cause) => cause.word !== undefined).slice(0, 4);
      if (words.length) parts.push(`For ${value}: `, element("bdi", {}, words.map((one) => one.word).join(", ")), ". ");
    }
    return [...parts, element("a", { href: address(`bits/${j}`) }, "More of this bit")];
  } catch {
    return null;
  }
}

export async function show({ rest, parameters }) {
  const mine = ++last;
  const isOne = /^\d+$/.test(rest);
  at("bits-all").hidden = isOne;
  at("bits-one").hidden = !isOne;
  say(at("bits-said"), "Looking at the bits ...");
  try {
    const answer = await told(isOne ? Number(rest) : undefined);
    if (mine !== last) return;
    say(at("bits-said"), "");
    if (isOne) showOne(answer.bits[0], answer.n_bits);
    else showAll(answer, parameters.by ?? "bit");
  } catch (error) {
    if (mine !== last) return;
    if (error.isNoEndpoint) throw error;
    say(at("bits-said"), error.message, true);
  }
}

const ORDERS = {
  bit: (one) => one.bit,
  balance: (one) => Math.abs(one.ones - 0.5),
  alone: (one) => -one.alone,
};

function showAll({ bits, n_items: nItems }, by) {
  at("bits-order").value = by in ORDERS ? by : "bit";
  const order = ORDERS[at("bits-order").value];
  const rows = [...bits].sort((a, b) => order(a) - order(b)).map(row);
  at("bits-rows").replaceChildren(...rows);
  say(at("bits-said"), `${count(bits.length, "bit")} of ${count(nItems, "item")}.`);
}

function row(one) {
  return element(
    "tr",
    {},
    element("th", { scope: "row" }, element("a", { href: address(`bits/${one.bit}`) }, `Bit ${one.bit}`)),
    element("td", {}, balance(one)),
    element("td", {}, share(one.alone)),
    element("td", { class: "for-one" }, causes(one.for_one, 5)),
    element("td", { class: "for-zero" }, causes(one.for_zero, 5)),
  );
}

// Zeros on the left, ones on the right, the middle marked.
function balance({ ones }) {
  const bar = element("span", { class: "balance", "aria-hidden": "true" }, element("span"));
  bar.firstChild.style.width = percentOf(1 - ones);
  return [bar, `${percent(ones)} ones`];
}

function share(value) {
  const bar = element("span", { class: "share", "aria-hidden": "true" }, element("span"));
  bar.firstChild.style.width = percentOf(value);
  return [bar, percent(value)];
}

const percentOf = (value) => `${(100 * Math.min(1, Math.max(0, value))).toFixed(2)}%`;

// The words, places or numbers that turn a bit one way, the strongest first.
function causes(some, most) {
  const shown = (some ?? []).slice(0, most);
  if (!shown.length) return null;
  const places = shown.filter((cause) => cause.x !== undefined || cause.place);
  if (places.length) return placesOf(some.map((cause) => cause.place ?? cause), some);
  return element(
    "ul",
    { class: "words" },
    shown.map((cause) => element("li", {}, element("bdi", {}, partName(cause)))),
  );
}

function placesOf(places, weights) {
  const strongest = Math.max(...weights.map((cause) => Math.abs(cause.weight))) || 1;
  const boxes = places.map(({ x, y, width, height }, i) =>
    drawing("rect", { x, y, width, height, opacity: Math.abs(weights[i].weight) / strongest }),
  );
  const label = count(places.length, "place") + " of the picture";
  return drawing("svg", { class: "patches", viewBox: "0 0 1 1", role: "img", "aria-label": label }, boxes);
}

function showOne(one, nBits) {
  at("bit-title").textContent = `Bit ${one.bit}`;
  const neighbour = (j, label) =>
    j >= 0 && j < nBits ? element("a", { class: "button", href: address(`bits/${j}`) }, label) : null;
  at("bit-steps").replaceChildren(
    ...[
      element("a", { class: "button", href: address("bits") }, "All bits"),
      neighbour(one.bit - 1, "Bit before"),
      neighbour(one.bit + 1, "Next bit"),
    ].filter(Boolean),
  );
  const alike = one.most_alike;
  at("bit-facts").replaceChildren(
    element("p", {}, balance(one)),
    element("p", {}, share(one.alone), " of what it tells is told by no other bit."),
    alike
      ? element("p", {}, "Most alike: ", element("a", { href: address(`bits/${alike.bit}`) }, `bit ${alike.bit}`), `, correlation ${alike.correlation.toFixed(2)}.`)
      : "",
  );
  for (const [value, turned, surest] of [[1, one.for_one, one.surest_one], [0, one.for_zero, one.surest_zero]]) {
    at(`bit-for-${value}`).replaceChildren(causes(turned, 24) ?? "Nothing in particular.");
    at(`bit-surest-${value}`).replaceChildren(...(surest ?? []).map(sure));
  }
}

function sure(item) {
  return element(
    "li",
    {},
    element("div", {}, link(item.id), item.certainty === undefined ? null : element("span", { class: "n" }, `${percent(item.certainty)} sure`)),
    glimpse(item),
  );
}

export function start() {
  at("bits-order").addEventListener("change", () => {
    const { parameters } = current();
    go(address("bits", { ...parameters, by: at("bits-order").value }));
  });
}

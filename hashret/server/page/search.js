// The view that asks: a text, a vector, an id, a picture or a code, and what is near it.

import { bitButtons } from "./bit_buttons.js";
import { aboutBit } from "./bits.js";
import { barcode, bitsOf, codeOf, differing } from "./code.js";
import * as collections from "./collections.js";
import { at, count, element, say } from "./elements.js";
import { hitElement } from "./hits.js";
import { glimpse } from "./items.js";
import { pictureOf } from "./pictures.js";
import { address, current, go } from "./routes.js";
import { ask, withParameters } from "./server.js";

const SUBJECTS = ["text", "vector", "sequence", "id", "code", "picture"];
const OPTIONS = ["k", "radius", "where", "rerank", "group", "codes_only"];
const NUMBERS = ["k", "radius", "rerank"];
const INCLUDE = ["snippet", "code"];

let last = 0; // number of the last question: slower answers to former ones are dropped
let shown = []; // ids of the last hits, which the map rings

export const shownIds = () => shown;

// Show the answer to what the address asks; without a question, where to begin.
export async function show({ parameters, kept }) {
  const mine = ++last;
  fillForm(parameters);
  const subject = SUBJECTS.find((name) => parameters[name] !== undefined);
  at("welcome").hidden = at("about").hidden = Boolean(subject);
  at("answer").hidden = !subject;
  say(at("said"), "");
  if (!subject) return;
  try {
    const question = questionOf(subject, parameters);
    const started = performance.now();
    const told = await answered(question);
    if (mine !== last) return;
    showAnswer(told, question, { parameters, kept, took: performance.now() - started });
  } catch (error) {
    if (mine !== last) return;
    at("answer").hidden = true;
    say(at("said"), error.message, true);
  }
}

function questionOf(name, parameters) {
  const options = {};
  for (const option of OPTIONS) {
    const given = parameters[option];
    if (given === undefined || (option === "rerank" && name === "code")) continue;
    options[option] = NUMBERS.includes(option) ? Number(given) : given;
    if (option === "codes_only") options[option] = true;
  }
  const value = parameters[name];
  const question = { options, from: parameters.from };
  if (name === "picture") {
    question.picture = pictureOf(value);
    if (!question.picture) throw new Error("That picture is gone; drop it here again.");
    return { ...question, title: question.picture.name || "a picture" };
  }
  const subject = { [name]: READ[name]?.(value) ?? value };
  return { ...question, subject, title: titleOf(parameters) };
}

function titleOf({ text, vector, sequence, id, code, from, picture }) {
  if (text !== undefined) return `“${text}”`;
  if (id !== undefined) return id;
  if (vector !== undefined) return "a vector";
  if (sequence !== undefined) return "a sequence";
  if (picture !== undefined) return "a picture";
  const n = from ? differing(bitsOf(code), bitsOf(from)).length : 0;
  return n ? `a code with ${count(n, "flipped bit")}` : "a code";
}

function numbers(written) {
  try {
    return JSON.parse(written);
  } catch {
    throw new Error("vector: expected a list of numbers such as [0.1, 0.2], got something else");
  }
}

// A list of steps, or else a line of tokens.
function steps(written) {
  if (!written.trimStart().startsWith("[")) return written;
  try {
    return JSON.parse(written);
  } catch {
    throw new Error('sequence: expected a list of steps such as ["a", "b"] or [[0.1, 0.2]], got something else');
  }
}

const READ = { vector: numbers, sequence: steps };

function answered(question) {
  const asked = { ...question.options, include: INCLUDE, collection: collections.name() };
  if (question.picture) {
    return ask(withParameters("/v1/query/image", asked), { picture: question.picture });
  }
  return ask("/v1/query", { body: { ...asked, ...question.subject } });
}

function showAnswer(told, question, { parameters, kept, took }) {
  question.code = told.code ?? "";
  question.bits = bitsOf(question.code);
  showTrail(kept.trail ?? []);
  at("query-title").textContent = question.title;
  at("query-glimpse").replaceChildren(...[glimpseOf(question)].filter(Boolean));
  question.barcode = showCode(question, parameters, kept);
  const walk = (id) => step({ id });
  at("hits").replaceChildren(...told.hits.map((hit) => hitElement(hit, question, walk)));
  at("hits").classList.toggle("unpictured", !at("hits").querySelector(".thumbnail"));
  shown = told.hits.map((hit) => hit.id);
  if (kept.trail?.length && kept.focused === undefined) {
    at("query-title").focus({ preventScroll: true }); // what was pressed is gone
    at("answer").scrollIntoView();
  }
  const hits = `${count(told.hits.length, "hit")}${told.more ? ", and there are more" : ""}`;
  const note = told.note ? `. ${told.note}` : "";
  say(at("said"), `${hits} in ${took < 10 ? took.toFixed(1) : Math.round(took)} ms${note}`);
}

function glimpseOf(question) {
  if (question.picture) {
    const image = element("img", { alt: "" });
    image.src = URL.createObjectURL(question.picture);
    return element("span", { class: "thumbnail" }, image);
  }
  const { id } = question.subject;
  return id === undefined ? null : glimpse({ id });
}

function showCode(question, parameters, kept) {
  const { bits, code } = question;
  const asked = question.from ?? code;
  at("code-panel").hidden = !bits.length;
  const flip = (j) => {
    const flipped = bits.slice();
    flipped[j] = 1 - flipped[j];
    step({ code: codeOf(flipped), from: asked }, j);
  };
  const buttons = bitButtons(bits, bitsOf(asked), { flip, attend: tellBit(bits), focused: kept.focused });
  at("query-code").replaceChildren(buttons);
  at("bit-told").textContent = "";
  if (kept.focused !== undefined) buttons.focusBit(kept.focused);
  const n = question.from ? differing(bits, bitsOf(asked)).length : 0;
  at("unflip").hidden = !n;
  at("unflip").textContent = `Flip ${n === 1 ? "it" : `all ${n}`} back`;
  at("unflip").onclick = () => step({ code: asked, from: asked });
  return buttons;
}

// Says of the bit that is pointed at what it is, and what turns it where the server can tell.
function tellBit(bits) {
  let waiting = 0;
  return (j) => {
    clearTimeout(waiting);
    at("bit-told").replaceChildren(`Bit ${j} is ${bits[j]}.`);
    waiting = setTimeout(async () => {
      const told = await aboutBit(j);
      const isStill = at("bit-told").textContent.startsWith(`Bit ${j} `);
      if (told && isStill) at("bit-told").replaceChildren(`Bit ${j} is ${bits[j]}. `, ...told);
    }, 150);
  };
}

// One step further: to an item, or to a code with a flipped bit, with the same options. Steps of
// flipping after each other are one step of the trail.
function step(subject, focused) {
  const { parameters, kept } = current();
  const options = Object.fromEntries(OPTIONS.map((name) => [name, parameters[name]]));
  const here = { label: titleOf(parameters), to: location.hash };
  const trail = kept.trail ?? [];
  const isFlip = subject.code !== undefined && parameters.code !== undefined;
  go(address("search", { ...options, ...subject }), {
    kept: { trail: isFlip ? trail : [...trail, here], focused },
  });
}

function showTrail(trail) {
  at("trail-box").hidden = !trail.length;
  at("trail").replaceChildren(
    ...trail.map(({ label, to }, i) =>
      element(
        "li",
        {},
        element(
          "button",
          { type: "button", click: () => go(to, { kept: { trail: trail.slice(0, i) } }) },
          label,
        ),
      ),
    ),
  );
}

function fillForm(parameters) {
  for (const name of OPTIONS) {
    const field = at(name);
    if (field.type === "checkbox") field.checked = parameters[name] === "true";
    else field.value = parameters[name] ?? "";
  }
  at("asked").value = parameters.text ?? parameters.vector ?? parameters.sequence ?? parameters.id ?? "";
  at("options").open ||= OPTIONS.some((name) => parameters[name] !== undefined);
}

function optionsGiven() {
  return Object.fromEntries(
    OPTIONS.map((name) => [name, at(name).type === "checkbox" ? at(name).checked || "" : at(name).value.trim()]),
  );
}

// Ask about this; the trail begins anew.
export function begin(subject) {
  go(address("search", { ...optionsGiven(), ...subject }), { kept: { trail: [] } });
}

// A code of random bits to begin at, drawn in its button.
function offerRandom(nBits) {
  at("at-random").hidden = !nBits;
  const bits = Array.from({ length: nBits ?? 0 }, () => Number(Math.random() < 0.5));
  const drawn = barcode(bits);
  drawn.setAttribute("aria-hidden", "true");
  at("at-random").replaceChildren("Or begin at a random code", drawn);
  at("at-random").onclick = () => begin({ code: codeOf(bits) });
}

// The form says what can be asked of the collection that is looked at.
export function adapt() {
  const { kind, n_items: nItems, n_bits: nBits, uncoded } = collections.facts();
  const labels = {
    text: "Search by words or a whole text",
    vector: "A vector, as [0.1, 0.2, ...]",
    sequence: "A sequence: tokens, or a list of steps",
  };
  at("asked-label").textContent = labels[kind] ?? "The id of an item";
  at("asked").placeholder = labels[kind] ?? "The id of an item, or drop a picture";
  for (const one of document.querySelectorAll("[data-for]")) {
    one.hidden = !one.dataset.for.split(" ").includes(kind);
  }
  const codes = nBits ? `, each a code of ${nBits} bits` : "";
  at("about").textContent = `${count(nItems ?? 0, collections.thing())}${codes}`;
  at("uncoded").textContent = uncoded ? `${count(uncoded, "item")} without a code: found by id only.` : "";
  offerRandom(nBits);
}

export function start() {
  at("ask").addEventListener("submit", (event) => {
    event.preventDefault();
    const given = at("asked").value.trim();
    const { kind } = collections.facts();
    const { parameters } = current();
    const name = ["text", "vector", "sequence"].includes(kind) ? kind : "id";
    if (given) begin({ [name]: given });
    else if (parameters.picture || parameters.code) {
      begin({ picture: parameters.picture, code: parameters.code, from: parameters.from });
    }
  });
}

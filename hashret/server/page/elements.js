// Makes elements. What comes from items only ever becomes text nodes or values of attributes that
// name nothing to load, so nothing in it is read as markup.

export const at = (id) => document.getElementById(id);

// An element with attributes, listeners (functions, by the event's name) and children; strings
// among the children become text. null, undefined and false are left out of both.
export function element(name, given = {}, ...children) {
  return filled(document.createElement(name), given, children);
}

export function drawing(name, given = {}, ...children) {
  return filled(document.createElementNS("http://www.w3.org/2000/svg", name), given, children);
}

function filled(made, given, children) {
  for (const [key, value] of Object.entries(given)) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === "function") made.addEventListener(key, value);
    else made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.flat().filter((child) => child || child === 0));
  return made;
}

// Put this text into a live region, as an error or as news.
export function say(where, text, isWrong = false) {
  where.textContent = text;
  where.classList.toggle("wrong", isWrong);
}

// The text in parts, those between the marks (pairs of offsets, in characters of Unicode) in <mark>.
export function marked(text, marks) {
  const characters = Array.from(text);
  const parts = [];
  let done = 0;
  for (const [start, end] of marks) {
    if (start < done || end <= start) continue;
    parts.push(characters.slice(done, start).join(""));
    parts.push(element("mark", {}, characters.slice(start, end).join("")));
    done = end;
  }
  return [...parts, characters.slice(done).join("")];
}

const whole = new Intl.NumberFormat("en");

// A number of things: "1 bit", "5,916 items".
export function count(n, thing) {
  return `${whole.format(n)} ${thing}${n === 1 ? "" : "s"}`;
}

export function percent(share) {
  return `${(100 * share).toFixed(share > 0.995 || share < 0.1 ? 1 : 0).replace(/\.0$/, "")} %`;
}

// How alike the features of two items are: a similarity, or, where it is none, how far they are apart.
export function likeness(similarity) {
  if (typeof similarity !== "number") return "";
  if (similarity > 0) return `similarity ${similarity.toFixed(3)}`;
  return `features ${Math.abs(similarity).toFixed(3)} apart`;
}

// What a part of an item is called: a word, a number of a vector, or steps of a series.
export function partName({ word, number, first, last }) {
  if (word !== undefined) return word;
  if (number !== undefined) return `number ${number}`;
  return first === last ? `step ${first}` : `steps ${first} to ${last}`;
}

// A value of metadata as people read it.
export function readable(value) {
  return typeof value === "string" ? value : JSON.stringify(value);
}

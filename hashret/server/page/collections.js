// Which collections are served, and which of them is looked at?

import { ask } from "./server.js";

let served = {}; // name -> what /v1/stats tells of it
let chosen = "";

export async function learn() {
  served = (await ask("/v1/stats")).collections;
  if (!(chosen in served)) chosen = Object.keys(served)[0] ?? "";
}

export const names = () => Object.keys(served);
export const name = () => chosen;
export const facts = () => served[chosen] ?? {};

// Look at this collection; false if it is not served.
export function choose(wanted) {
  if (!Object.hasOwn(served, wanted)) return false;
  chosen = wanted;
  return true;
}

// What one item is called.
export function thing() {
  return { text: "text", image: "picture", vector: "vector", sequence: "sequence" }[facts().kind] ?? "item";
}

// The view of what is served: each collection's items, codes, model and size.

import * as collections from "./collections.js";
import { at, count, element, readable } from "./elements.js";

const UNITS = ["bytes", "kB", "MB", "GB", "TB"];

function size(bytes) {
  let [value, unit] = [bytes, 0];
  while (value >= 1000 && unit < UNITS.length - 1) [value, unit] = [value / 1000, unit + 1];
  return `${value.toFixed(unit && value < 10 ? 1 : 0)} ${UNITS[unit]}`;
}

export async function show() {
  await collections.learn();
  const facts = collections.facts();
  const { bytes = {}, model, n_items: nItems, n_bits: nBits, commit, committed_at: time, ...others } = facts;
  at("statistics-title").textContent = collections.name();
  at("statistics-cards").replaceChildren(
    card(nItems?.toLocaleString("en") ?? "–", `${collections.thing()}s`),
    card(nBits ?? "–", "bits a code"),
    card(size(Object.values(bytes).reduce((sum, one) => sum + one, 0)), "on disk"),
    card(commit ?? "–", when(time)),
  );
  at("statistics-facts").replaceChildren(
    table("Collection", written(others)),
    table("Model", written(model ?? {})),
    sizes(bytes),
  );
}

function card(value, label) {
  return element("div", { class: "card figure" }, element("strong", {}, String(value)), element("span", {}, label));
}

function when(written) {
  const time = new Date(written);
  return Number.isNaN(time.valueOf()) ? "commit" : `commit, of ${time.toLocaleString("en", { dateStyle: "medium", timeStyle: "short" })}`;
}

const written = (fields) =>
  Object.entries(fields).map(([key, value]) => [key.replaceAll("_", " "), shownValue(value)]);

const shownValue = (value) =>
  typeof value === "number" ? value.toLocaleString("en") : value === null ? "none" : readable(value);

function table(title, rows) {
  if (!rows.length) return "";
  return element(
    "section",
    { class: "card" },
    element("h2", {}, title),
    element("dl", { class: "facts-table" }, rows.map(([key, value]) => element("div", {}, element("dt", {}, key), element("dd", {}, value)))),
  );
}

function sizes(bytes) {
  const all = Object.entries(bytes);
  const most = Math.max(1, ...all.map(([, n]) => n));
  const bar = (n) => {
    const made = element("span", { class: "share", "aria-hidden": "true" }, element("span"));
    made.firstChild.style.width = `${(100 * n) / most}%`;
    return made;
  };
  const { n_items: nItems } = collections.facts();
  const total = all.reduce((sum, [, n]) => sum + n, 0);
  const perItem = nItems ? `, ${count(Math.round(total / nItems), "byte")} an item` : "";
  return element(
    "section",
    { class: "card" },
    element("h2", {}, `Size${perItem}`),
    element(
      "dl",
      { class: "facts-table" },
      all.map(([key, n]) => element("div", {}, element("dt", {}, key), element("dd", {}, bar(n), size(n)))),
    ),
  );
}

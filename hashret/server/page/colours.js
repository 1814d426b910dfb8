// Which colour does a value of metadata have? Few values get one each, numbers a place on a scale.

import { readable } from "./elements.js";

const EACH = [0x4c78dd, 0xe8833a, 0x2fa37c, 0xd3518d, 0x8e6bd8, 0xb08c1f, 0x3aa6c9, 0xc2573f, 0x7a9a34];
const OTHERS = 0xa3a5b0;
const SCALE = [0x3b2f8f, 0x2f6f9f, 0x2a9d8f, 0x8ac44a, 0xf2c12e]; // from low to high

// {colours, legend, groups}: 0xRRGGBB of each value; the rows of the legend as {label, colour, n};
// and to which row each value belongs. null without values.
export function coloured(values) {
  const numbers = values.filter((value) => typeof value === "number");
  const distinct = new Set(values.map(readableOrNone));
  if (numbers.length > values.length / 2 && distinct.size > EACH.length) return scaled(values);
  return named(values.map(readableOrNone));
}

const readableOrNone = (value) =>
  value === null || value === undefined ? "(none)" : readable(value);

function named(labels) {
  const counts = new Map();
  for (const label of labels) counts.set(label, (counts.get(label) ?? 0) + 1);
  const most = [...counts.keys()].sort((a, b) => counts.get(b) - counts.get(a));
  const own = new Map(most.slice(0, EACH.length).map((label, i) => [label, i]));
  const groups = Uint8Array.from(labels, (label) => own.get(label) ?? EACH.length);
  const legend = [...own].map(([label, i]) => ({ label, colour: EACH[i], n: counts.get(label) }));
  const rest = most.slice(EACH.length);
  if (rest.length) {
    const n = rest.reduce((sum, label) => sum + counts.get(label), 0);
    legend.push({ label: `${rest.length} others`, colour: OTHERS, n });
  }
  return { colours: Uint32Array.from(groups, (i) => EACH[i] ?? OTHERS), legend, groups };
}

const STEPS = 5; // rows of the legend of a scale

function scaled(values) {
  const sorted = values.filter((value) => typeof value === "number").sort((a, b) => a - b);
  const limits = Array.from({ length: STEPS + 1 }, (_, i) =>
    sorted[Math.min(sorted.length - 1, Math.floor((i * sorted.length) / STEPS))],
  );
  const groups = Uint8Array.from(values, (value) => {
    if (typeof value !== "number") return STEPS;
    let step = 0;
    while (step < STEPS - 1 && value >= limits[step + 1]) step++;
    return step;
  });
  const counts = new Array(STEPS + 1).fill(0);
  for (const group of groups) counts[group]++;
  const legend = SCALE.map((colour, i) => ({
    label: `${limits[i]} to ${limits[i + 1]}`,
    colour,
    n: counts[i],
  }));
  if (counts[STEPS]) legend.push({ label: "(no number)", colour: OTHERS, n: counts[STEPS] });
  return { colours: Uint32Array.from(groups, (i) => SCALE[i] ?? OTHERS), legend, groups };
}

// As CSS writes it.
export const css = (colour) => `#${colour.toString(16).padStart(6, "0")}`;

export const PLAIN = 0x5b6ee1;

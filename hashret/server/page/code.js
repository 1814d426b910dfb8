// A code: its bits, and how they are drawn. A one is a tall bar and a zero a short one; a bit that
// differs also has a triangle under it, so that nothing depends on seeing colours.

import { drawing } from "./elements.js";

// bit j of a code is bit j % 8 of byte j // 8
export function bitsOf(code) {
  const bits = [];
  for (let i = 0; i < code.length; i += 2) {
    const byte = parseInt(code.slice(i, i + 2), 16);
    for (let j = 0; j < 8; j++) bits.push((byte >> j) & 1);
  }
  return bits;
}

export function codeOf(bits) {
  let code = "";
  for (let i = 0; i < bits.length; i += 8) {
    let byte = 0;
    for (let j = 0; j < 8; j++) byte |= bits[i + j] << j;
    code += byte.toString(16).padStart(2, "0");
  }
  return code;
}

// The numbers of the bits that differ; none where the lengths do.
export function differing(bits, others) {
  if (bits.length !== others.length) return [];
  return bits.flatMap((bit, j) => (bit === others[j] ? [] : [j]));
}

const A_ROW = 64; // bits
const ROW_HEIGHT = 14; // units, of which a bar takes at most 10 and a triangle 3
const GAP = 0.7; // after each byte, in bars

const widthOf = (columns) => columns + (Math.ceil(columns / 8) - 1) * GAP;

const place = (j) => [
  (j % A_ROW) + Math.floor((j % A_ROW) / 8) * GAP,
  Math.floor(j / A_ROW) * ROW_HEIGHT,
];

function bars(numbers, top) {
  return numbers
    .map((j) => {
      const [x, y] = place(j);
      return `M${x + 0.12} ${y + top}h.76V${y + 10}h-.76z`;
    })
    .join("");
}

function triangles(numbers) {
  return numbers
    .map((j) => {
      const [x, y] = place(j);
      return `M${x} ${y + 13.6}h1l-.5 -2.8z`;
    })
    .join("");
}

function bands(numbers) {
  return numbers
    .map((j) => {
      const [x, y] = place(j);
      return `M${x - 0.08} ${y - 0.5}h1.16v14.5h-1.16z`;
    })
    .join("");
}

// The code as a picture. `others` are the bits that it is compared with. `light(numbers)` of what
// is returned lights up these bits, and none if called with [].
export function barcode(bits, others = [], about = "Code") {
  const different = differing(bits, others);
  const are = new Set(different);
  const of = (bit, differs) =>
    bits.flatMap((one, j) => (one === bit && are.has(j) === differs ? [j] : []));
  const lit = drawing("path", { class: "lit" });
  const width = widthOf(Math.min(bits.length, A_ROW));
  const rows = Math.ceil(bits.length / A_ROW) || 1;
  const compared = others.length === bits.length ? `, ${different.length} of them differ` : "";
  const code = drawing(
    "svg",
    {
      class: "code",
      viewBox: `-.1 -.5 ${width + 0.2} ${rows * ROW_HEIGHT + 0.5}`,
      width: `${(100 * width) / widthOf(A_ROW)}%`, // a bar is as wide in short codes as in long ones
      height: 20 * rows,
      preserveAspectRatio: "none",
      role: "img",
      "aria-label": `${about} of ${bits.length} bits${compared}`,
    },
    lit,
    drawing("path", { class: "one", d: bars(of(1, false), 0) }),
    drawing("path", { class: "zero", d: bars(of(0, false), 6.5) }),
    drawing("path", {
      class: "differs",
      d: bars(of(1, true), 0) + bars(of(0, true), 6.5) + triangles(different),
    }),
  );
  code.light = (numbers) => lit.setAttribute("d", bands(numbers));
  return code;
}

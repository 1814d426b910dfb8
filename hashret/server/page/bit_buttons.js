// The code of the query, a button a bit: pressed, the bit is flipped. One of them is in the order
// of tabs; arrow keys, Home and End move along them.

import { element } from "./elements.js";

// `flip(j)` is called for a bit that is pressed, `attend(j)` for one that is pointed at or focused.
// `asked` are the bits before any was flipped. `light(numbers)` of what is returned lights up bits.
export function bitButtons(bits, asked, { flip, attend, focused }) {
  const buttons = bits.map((bit, j) => {
    const isFlipped = asked.length === bits.length && asked[j] !== bit;
    return element(
      "button",
      {
        type: "button",
        class: `bit ${bit ? "one" : "zero"}${isFlipped ? " flipped" : ""}`,
        tabindex: j === (focused ?? 0) ? 0 : -1,
        "aria-label": `Bit ${j} is ${bit}${isFlipped ? ", flipped" : ""}`,
        click: () => flip(j),
        focus: () => attend(j),
        pointerenter: () => attend(j),
      },
      element("span"),
    );
  });
  const all = element(
    "div",
    {
      class: "bits",
      role: "group",
      "aria-label": "Code of the query",
      "aria-describedby": "flip-help",
      keydown: (event) => {
        const here = buttons.indexOf(document.activeElement);
        const steps = { ArrowRight: here + 1, ArrowLeft: here - 1, Home: 0, End: bits.length - 1 };
        const next = buttons[steps[event.key]];
        if (here < 0 || !next) return;
        buttons[here].tabIndex = -1;
        next.tabIndex = 0;
        next.focus();
        event.preventDefault();
      },
    },
    Array.from({ length: Math.ceil(bits.length / 8) }, (_, i) =>
      element("div", { class: "byte" }, buttons.slice(8 * i, 8 * i + 8)),
    ),
  );
  all.light = (numbers) => {
    const are = new Set(numbers);
    buttons.forEach((button, j) => button.classList.toggle("lit", are.has(j)));
  };
  all.focusBit = (j) => buttons[j]?.focus();
  return all;
}

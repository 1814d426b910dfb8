// Why is this a hit? Which bits agree, and which words or places carry them: by leaving each out.

import * as collections from "./collections.js";
import { count, element, partName } from "./elements.js";
import { thumbnail } from "./items.js";
import { ask, showBlob, withParameters } from "./server.js";

const MOST_PARTS = 24; // shown at first, of those that change something alone

// Fill `place` with the explanation of a hit. Parts that are pointed at or focused light up their
// bits in the code of their side.
export async function explanation(place, hit, question, code) {
  place.replaceChildren(element("p", { class: "quiet-text", role: "status" }, "Leaving out each part ..."));
  let told;
  try {
    told = await explained(hit, question);
  } catch (error) {
    const why = error.isNoEndpoint ? "This server has no explanations." : error.message;
    place.replaceChildren(element("p", { class: "wrong", role: "status" }, why));
    return;
  }
  const both = [told.agree.length, told.differ.length];
  place.replaceChildren(
    element(
      "p",
      { role: "status" },
      `${count(both[0], "bit")} agree and ${both[1]} differ${list(told.differ)}.`,
      told.usual === undefined ? "" : ` With an item at random, some ${Math.round(told.usual)} agree.`,
    ),
    element(
      "div",
      { class: "sides" },
      side("In the query", told.query, told, question.barcode, () => pictureOf(question)),
      side("In this item", told.item, told, code, () => thumbnail(hit.id)),
    ),
    told.parts ? element(
      "p",
      { class: "quiet-text" },
      "The number is by how many bits the two would be further apart (+) or closer (−) without " +
        "that part. Point at a part to see its bits.",
    ) : "",
  );
}

function list(numbers) {
  if (!numbers.length || numbers.length > 16) return "";
  return ` (${numbers.join(", ")})`;
}

function explained(hit, question) {
  const about = { collection: collections.name(), item: hit.id };
  if (question.picture) {
    const path = withParameters("/v1/explain/image", about);
    return ask(path, { picture: question.picture }).catch((error) => {
      if (!error.isNoEndpoint) throw error;
      return ask("/v1/explain", { body: { ...about, code: question.code } });
    });
  }
  return ask("/v1/explain", { body: { ...about, ...question.subject } });
}

function pictureOf(question) {
  if (question.subject?.id !== undefined) return thumbnail(question.subject.id);
  if (!question.picture) return null;
  const image = element("img", { alt: "" });
  showBlob(image, question.picture);
  return element("span", { class: "thumbnail" }, image);
}

function side(title, { parts, note }, told, code, picture) {
  if (!parts?.length) {
    return note ? element("section", {}, element("h4", {}, title), element("p", {}, note)) : null;
  }
  const light = (part) => code?.light(part ? part.bits : []);
  const of = {
    words: () => chips(parts, (part) => part.word, light),
    numbers: () => chips(parts, partName, light),
    steps: () => chips(parts, partName, light),
    places: () => places(parts, picture(), light),
  };
  return element("section", {}, element("h4", {}, title), of[told.parts]?.());
}

const signed = (effect) => (effect > 0 ? `+${effect}` : effect < 0 ? `−${-effect}` : "0");

const direction = (effect) => (effect > 0 ? "brings" : effect < 0 ? "parts" : "neither");

function spoken(what, part) {
  const effects = { brings: "brings the two together", parts: "sets the two apart", neither: "carries no bit alone" };
  const by = part.effect ? ` by ${count(Math.abs(part.effect), "bit")}` : "";
  return `${what} ${effects[direction(part.effect)]}${by}`;
}

function lighting(part, light) {
  return {
    pointerenter: () => light(part),
    focus: () => light(part),
    pointerleave: () => light(null),
    blur: () => light(null),
  };
}

// Parts come with the greatest effect first. Those that change something alone are shown at first,
// wherever they stand.
function chips(parts, name, light) {
  const all = element("ul", { class: "chips" });
  const add = (some) =>
    all.append(
      ...some.map((part) =>
        element(
          "li",
          {},
          element(
            "button",
            {
              type: "button",
              class: `chip ${direction(part.effect)}`,
              "aria-label": spoken(name(part), part),
              ...lighting(part, light),
            },
            element("bdi", {}, name(part)),
            element("span", { class: "effect" }, signed(part.effect)),
          ),
        ),
      ),
    );
  const carrying = parts.filter((part) => part.effect);
  const first = (carrying.length ? carrying : parts).slice(0, MOST_PARTS);
  const others = parts.filter((part) => !first.includes(part));
  add(first);
  if (!others.length) return all;
  const more = element(
    "button",
    {
      type: "button",
      class: "quiet",
      click: () => {
        more.remove();
        add(others);
      },
    },
    `${others.length} more, which alone change less`,
  );
  return element("div", {}, all, more);
}

// Rectangles over the picture. They are as strong as their pull, since one place alone seldom
// changes a bit.
function places(parts, picture, light) {
  const pull = (part) => part.pull ?? part.effect;
  const strongest = Math.max(...parts.map((part) => Math.abs(pull(part)))) || 1;
  const shown = element("div", { class: "places" }, picture);
  for (const part of parts) {
    const where = `The place ${Math.round(100 * part.x)} % from the left, ${Math.round(100 * part.y)} % from the top`;
    const box = element(
      "button",
      {
        type: "button",
        class: `place ${direction(part.effect || pull(part))}`,
        "aria-label": spoken(where, part),
        title: signed(part.effect),
        ...lighting(part, light),
      },
      part.effect ? element("span", { class: "effect" }, signed(part.effect)) : null,
    );
    box.style.left = `${100 * part.x}%`;
    box.style.top = `${100 * part.y}%`;
    box.style.width = `${100 * part.width}%`;
    box.style.height = `${100 * part.height}%`;
    box.style.setProperty("--strength", Math.abs(pull(part)) / strongest);
    shown.append(box);
  }
  return shown;
}

// Hits of a query: what is seen of each, how near it is, and its code beside the query's.

import { barcode, bitsOf } from "./code.js";
import * as collections from "./collections.js";
import { count, element, likeness, marked, percent } from "./elements.js";
import { explanation } from "./explain.js";
import { havePictures, metadata, thumbnail } from "./items.js";
import { segment, showPicture, withParameters } from "./server.js";

// The part of a text where the query's words stand, marked.
function snippet({ snippet: part }) {
  if (!part?.text) return null;
  return element("p", { class: "text", dir: "auto" }, marked(part.text, part.marks));
}

function how(hit, nBits) {
  const agreeing = nBits ? `${percent(1 - hit.distance / nBits)} agree` : "";
  const similarity = likeness(hit.similarity);
  const words = hit.words === undefined ? "" : `words ${hit.words.toFixed(3)}`;
  return [agreeing, similarity, words, `score ${hit.score.toFixed(3)}`].filter(Boolean).join(" · ");
}

// One hit. `question` is what was asked: its subject, its bits, and its own barcode (to light up bits of). `walk(id)` is called to see an item's neighbours.
export function hitElement(hit, question, walk) {
  const bits = bitsOf(hit.code);
  const code = barcode(bits, question.bits, "Code");
  const place = element("div", { class: "why", hidden: true });
  const why = element(
    "button",
    {
      type: "button",
      class: "quiet",
      "aria-expanded": "false",
      click: () => {
        const opens = place.hidden;
        place.hidden = !opens;
        why.setAttribute("aria-expanded", String(opens));
        if (opens && !place.hasChildNodes()) explanation(place, hit, question, code);
      },
    },
    "Why this hit",
  );
  const body = element(
    "div",
    { class: "hit-body" },
    element(
      "h3",
      { class: "id" },
      element("button", { type: "button", class: "walk", click: () => walk(hit.id) }, hit.id),
    ),
    element(
      "p",
      { class: "facts" },
      element("strong", {}, bits.length ? `${count(hit.distance, "bit")} apart` : "by words"),
      ` ${how(hit, bits.length)}`,
    ),
    snippet(hit),
    bits.length > 0 && code,
    metadata(hit.metadata),
    element("div", { class: "actions" }, bits.length > 0 && why, original(hit.id)),
    place,
  );
  return element(
    "li",
    { class: "hit" },
    havePictures() &&
      element(
        "button",
        { type: "button", class: "see", "aria-hidden": "true", tabindex: -1, click: () => walk(hit.id) },
        thumbnail(hit.id),
      ),
    body,
  );
}

// A button that opens the whole picture in place, where the collection knows where it is.
function original(id) {
  if (!collections.facts().has_originals) return null;
  const parameters = { collection: collections.name() };
  const path = withParameters(`/v1/original/${segment(id)}`, parameters);
  return element(
    "button",
    {
      type: "button",
      class: "quiet",
      click: ({ currentTarget: button }) => {
        const image = element("img", { class: "original", alt: `The picture ${id}` });
        showPicture(image, path, () => image.replaceWith("The original can't be shown."));
        button.replaceWith(image);
      },
    },
    "Open the picture",
  );
}

// What can be seen of an item wherever one is shown: its thumbnail, its text, its metadata.

import * as collections from "./collections.js";
import { element, readable } from "./elements.js";
import { address } from "./routes.js";
import { segment, showPicture, withParameters } from "./server.js";

// Whether items have pictures to show.
export const havePictures = () =>
  collections.facts().has_thumbnails ?? collections.facts().kind === "image";

// The thumbnail of an item, or the beginning of its id where there is none.
export function thumbnail(id) {
  const frame = element("span", { class: "thumbnail" });
  const image = element("img", { alt: "", decoding: "async" });
  const parameters = { collection: collections.name() };
  showPicture(image, withParameters(`/v1/thumbnail/${segment(id)}`, parameters), () => {
    frame.replaceChildren(element("span", { class: "no-picture" }, id.slice(0, 40)));
  });
  frame.append(image);
  return frame;
}

// What can be seen of an item: its thumbnail, or the beginning of its text.
export function glimpse(item) {
  if (havePictures()) return thumbnail(item.id);
  if (!item.preview) return null;
  return element("p", { class: "text", dir: "auto" }, item.preview);
}

export function metadata(fields) {
  const pairs = Object.entries(fields ?? {});
  if (!pairs.length) return null;
  return element(
    "dl",
    { class: "metadata" },
    pairs.map(([key, value]) =>
      element("div", {}, element("dt", {}, key), element("dd", {}, readable(value))),
    ),
  );
}

// The item's name as a link to its neighbours.
export function link(id) {
  return element("a", { class: "id", href: address("search", { id }) }, element("bdi", {}, id));
}

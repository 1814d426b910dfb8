// Pictures to ask with: chosen, dropped or pasted. They stay in this tab, under a number that the
// address has.

import * as collections from "./collections.js";
import { at, say } from "./elements.js";

const pictures = [];
let opened = Promise.resolve(); // when the page knows its collections

export const pictureOf = (number) => pictures[Number(number)];

async function take(file, begin) {
  if (!file) return;
  await opened;
  if (collections.facts().kind !== "image") {
    say(at("said"), `This collection holds ${collections.thing()}s; a picture can't be asked for.`, true);
  } else if (!file.type.startsWith("image/")) {
    say(at("said"), "expected a picture, got another file", true);
  } else {
    begin({ picture: pictures.push(file) - 1 });
  }
}

const fileOf = (transfer) => [...(transfer?.files ?? [])][0];

// `begin({picture})` asks about the picture of that number; a picture that is given before the page
// is `ready`, a promise, waits for it.
export function start(begin, ready) {
  opened = ready;
  const view = at("search");
  at("pick").addEventListener("click", () => at("file").click());
  at("file").addEventListener("change", () => {
    take(at("file").files[0], begin);
    at("file").value = "";
  });
  document.addEventListener("dragover", (event) => {
    event.preventDefault(); // else the browser leaves the page for the picture
    view.classList.add("dropping");
  });
  document.addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) view.classList.remove("dropping");
  });
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    view.classList.remove("dropping");
    take(fileOf(event.dataTransfer), begin);
  });
  document.addEventListener("paste", (event) => {
    const file = fileOf(event.clipboardData);
    if (file) take(file, begin);
  });
}

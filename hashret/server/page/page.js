// The page: shows the view that the address names, of the collection that it names.

import * as bits from "./bits.js";
import * as collections from "./collections.js";
import * as duplicates from "./duplicates.js";
import { at, element, say } from "./elements.js";
import * as map from "./map.js";
import * as pictures from "./pictures.js";
import { address, current, go } from "./routes.js";
import * as search from "./search.js";
import * as statistics from "./statistics.js";

const VIEWS = { search, map, bits, duplicates, statistics };
const TITLES = { search: "Search", map: "Map", bits: "Bits", duplicates: "Duplicates", statistics: "Statistics" };

let before = null; // the view that was shown

async function route() {
  const step = current();
  const view = Object.hasOwn(VIEWS, step.view) ? step.view : "search";
  if (step.parameters.collection) collections.choose(step.parameters.collection);
  at("collection").value = collections.name();
  search.adapt();
  for (const name of Object.keys(VIEWS)) at(name).hidden = name !== view;
  for (const link of document.querySelectorAll("nav a")) {
    link.href = address(link.dataset.view);
    if (link.dataset.view === view) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = `${TITLES[view]} · ${collections.name() || "hashret"}`;
  say(at("wrong"), "");
  if (before && before !== view) {
    scrollTo(0, 0);
    at(view).querySelector("h1").focus();
  }
  before = view;
  try {
    await VIEWS[view].show(step);
  } catch (error) {
    if (error.isNoEndpoint) leaveOut(view);
    else say(at("wrong"), error.message, true);
  }
}

// This server has no such view: it is not offered any more.
function leaveOut(view) {
  for (const link of document.querySelectorAll(`nav a[data-view="${view}"]`)) link.hidden = true;
  say(at("wrong"), `This server has no ${TITLES[view].toLowerCase()}.`);
  at(view).hidden = true;
}

function start() {
  for (const part of [search, map, bits, duplicates]) part.start();
  at("skip").addEventListener("click", (event) => {
    event.preventDefault();
    at("main").focus();
  });
  pictures.start(search.begin, open());
}

// Learns which collections there are, and shows the first view.
async function open() {
  try {
    await collections.learn();
  } catch (error) {
    say(at("wrong"), error.message, true);
    return;
  }
  const names = collections.names();
  at("collection").replaceChildren(...names.map((name) => element("option", { value: name }, name)));
  at("which").hidden = names.length < 2;
  at("collection").addEventListener("change", () => {
    collections.choose(at("collection").value);
    go(address(before ?? "search"));
  });
  addEventListener("popstate", route);
  document.body.classList.add("ready");
  await route();
}

start();

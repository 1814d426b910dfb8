// The view of duplicates: groups side by side, and which item of each to keep.

import * as collections from "./collections.js";
import { at, count, element, likeness, say } from "./elements.js";
import { glimpse, link, metadata } from "./items.js";
import { address, current, go } from "./routes.js";
import { ask, withParameters } from "./server.js";

const AT_FIRST = 20; // groups
let last = 0;

export async function show({ parameters }) {
  const mine = ++last;
  const limit = Number(parameters.limit) || AT_FIRST;
  const { radius } = parameters;
  at("duplicates-radius").value = radius ?? "";
  say(at("duplicates-said"), "Comparing ...");
  try {
    const path = withParameters("/v1/duplicates", { collection: collections.name(), radius, limit });
    const told = await ask(path);
    if (mine !== last) return;
    showGroups(told, limit);
  } catch (error) {
    if (mine !== last) return;
    if (error.isNoEndpoint) throw error;
    at("duplicates-groups").replaceChildren();
    at("duplicates-more").hidden = at("duplicates-copy").hidden = true;
    say(at("duplicates-said"), error.message, true);
  }
}

function showGroups(told, limit) {
  const { groups, n_groups: n } = told;
  const others = groups.flatMap((group) => group.items.filter((item) => item.id !== group.keep));
  const shown = groups.length < n ? `, ${groups.length} of them shown` : "";
  const found = n ? `${count(n, "group")} of duplicates${shown}` : "No duplicates";
  const within = told.radius === null ? "" : `, within ${count(told.radius, "bit")}`;
  say(at("duplicates-said"), `${found}${within}.`);
  at("duplicates-groups").replaceChildren(...groups.map(groupElement));
  at("duplicates-more").hidden = !told.more;
  at("duplicates-more").onclick = () => {
    const { parameters } = current();
    go(address("duplicates", { ...parameters, limit: 2 * limit }), { instead: true });
  };
  at("duplicates-copy").hidden = !others.length;
  at("duplicates-copy").textContent = `Copy the ids of the ${others.length} others`;
  at("duplicates-copy").onclick = async () => {
    await navigator.clipboard.writeText(others.map((item) => item.id).join("\n"));
    say(at("duplicates-said"), `${count(others.length, "id")} copied.`);
  };
}

function groupElement(group, i) {
  const keepFirst = [...group.items].sort((a, b) => (b.id === group.keep) - (a.id === group.keep));
  return element(
    "li",
    { class: "group" },
    element("h2", {}, `Group ${i + 1}: ${count(group.items.length, collections.thing())}`),
    element("ul", { class: "side-by-side" }, keepFirst.map((item) => member(item, item.id === group.keep))),
  );
}

function member(item, isKept) {
  const apart = [`${count(item.distance, "bit")} apart`, likeness(item.similarity)];
  const how = isKept ? "Keep" : apart.filter(Boolean).join(" · ");
  return element(
    "li",
    { class: isKept ? "kept" : "" },
    element("p", { class: "facts" }, element("strong", {}, how)),
    glimpse(item),
    element("p", {}, link(item.id)),
    metadata(item.metadata),
  );
}

export function start() {
  at("duplicates-form").addEventListener("submit", (event) => {
    event.preventDefault();
    go(address("duplicates", { radius: at("duplicates-radius").value }));
  });
}

// What is shown is what the address says after "#": a view and its parameters. So links can be
// kept and sent, and the browser's back button takes back each step.

import * as collections from "./collections.js";
import { withParameters } from "./server.js";

// The address of a view of the collection that is looked at.
export function address(view, parameters = {}) {
  const collection = collections.names().length > 1 ? collections.name() : undefined;
  return withParameters(`#/${view}`, { ...parameters, collection });
}

// The view, its parameters, and what was kept with this step of the history.
export function current() {
  const [path, written] = location.hash.replace(/^#\/?/, "").split(/\?(.*)/s);
  const [view, rest] = path.split(/\/(.*)/s);
  return {
    view: view || "search",
    rest: rest ?? "",
    parameters: Object.fromEntries(new URLSearchParams(written ?? "")),
    kept: history.state ?? {},
  };
}

// Go to an address, as a new step of the history or in place of this one.
export function go(to, { kept = null, instead = false } = {}) {
  history[instead ? "replaceState" : "pushState"](kept, "", to);
  dispatchEvent(new PopStateEvent("popstate", { state: kept }));
}

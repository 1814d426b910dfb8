// The page: asks /v1 of the server that it came from. What comes from items is only ever put into
// textContent, so nothing in it is read as markup.
"use strict";

const at = (id) => document.getElementById(id);
let kinds = {}; // collection -> what it holds
let last = 0; // number of the last question: slower answers to former ones are dropped

function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

function say(text, isWrong = false) {
  at("said").textContent = text;
  at("said").className = isWrong ? "wrong" : "";
}

async function ask(path, body) {
  const headers = {};
  const token = sessionStorage.getItem("token");
  if (token) headers.Authorization = `Bearer ${token}`;
  if (body) headers["Content-Type"] = "application/json";
  const answer = await fetch(path, {
    method: body ? "POST" : "GET",
    headers,
    body: body && JSON.stringify(body),
  });
  const told = await answer.json();
  if (answer.status === 401) at("token-row").hidden = false;
  if (!answer.ok) throw new Error(told.detail);
  return told;
}

// bit j of a code is bit j % 8 of byte j // 8
function bitsOf(code) {
  const bits = [];
  for (let i = 0; i < code.length; i += 2) {
    const byte = parseInt(code.slice(i, i + 2), 16);
    for (let j = 0; j < 8; j++) bits.push((byte >> j) & 1);
  }
  return bits;
}

function codeOf(bits) {
  let code = "";
  for (let i = 0; i < bits.length; i += 8) {
    let byte = 0;
    for (let j = 0; j < 8; j++) byte |= bits[i + j] << j;
    code += byte.toString(16).padStart(2, "0");
  }
  return code;
}

function barcode(bits, queryBits) {
  const code = element("div", "code");
  let differing = 0;
  bits.forEach((bit, j) => {
    const differs = queryBits.length === bits.length && bit !== queryBits[j];
    differing += differs;
    code.append(element("span", `${bit ? "one" : ""}${differs ? " differs" : ""}`));
  });
  code.setAttribute("role", "img");
  code.setAttribute("aria-label", `Code of ${bits.length} bits, ${differing} of them differ`);
  return code;
}

function showQueryCode(bits, focused) {
  at("query").hidden = bits.length === 0;
  at("query-code").replaceChildren(
    ...bits.map((bit, j) => {
      const one = element("button", bit ? "one" : "");
      one.type = "button";
      one.tabIndex = j === (focused ?? 0) ? 0 : -1;
      one.setAttribute("aria-label", `Bit ${j}: ${bit}`);
      one.addEventListener("click", () => {
        const flipped = bits.slice();
        flipped[j] = 1 - bit;
        search({ code: codeOf(flipped) }, "a code with flipped bits", j);
      });
      return one;
    }),
  );
  if (focused !== undefined) at("query-code").children[focused]?.focus();
}

at("query-code").addEventListener("keydown", (event) => {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  const bits = [...at("query-code").children];
  const next = bits[bits.indexOf(document.activeElement) + step];
  if (!step || !next) return;
  document.activeElement.tabIndex = -1;
  next.tabIndex = 0;
  next.focus();
  event.preventDefault();
});

// the text with each of the words in a <mark>
function marked(text, words) {
  const shown = element("p", "preview");
  if (!words.length) {
    shown.textContent = text;
    return shown;
  }
  const known = new Set(words);
  for (const part of text.split(/([\p{L}\p{N}\p{M}]+)/u)) {
    shown.append(known.has(part.toLowerCase()) ? element("mark", "", part) : part);
  }
  return shown;
}

function showHit(hit, queryBits, words) {
  const item = element("li");
  const walk = element("button", "walk", hit.id);
  walk.type = "button";
  walk.title = "Show its neighbours";
  walk.addEventListener("click", () => search({ id: hit.id }, hit.id));
  const alike = hit.similarity === undefined ? "" : `, alike ${hit.similarity.toFixed(3)}`;
  const facts = `${hit.distance} of ${hit.code.length * 4} bits differ, score ${hit.score.toFixed(3)}`;
  item.append(walk, element("p", "facts", facts + alike));
  if (hit.preview) item.append(marked(hit.preview, words));
  item.append(barcode(bitsOf(hit.code), queryBits));
  const metadata = Object.entries(hit.metadata);
  if (metadata.length) {
    const shown = metadata.map(([key, value]) => `${key}: ${JSON.stringify(value)}`).join(", ");
    item.append(element("p", "facts", shown));
  }
  return item;
}

async function search(about, name, focused) {
  const mine = ++last;
  const asked = { ...about, include: ["preview", "code"], collection: at("collection").value };
  if (at("where").value.trim()) asked.where = at("where").value;
  asked.k = Number(at("k").value) || 10;
  if (at("rerank").value !== "" && about.code === undefined) {
    asked.rerank = Number(at("rerank").value);
  }
  try {
    const told = await ask("/v1/query", asked);
    if (mine !== last) return;
    const bits = bitsOf(told.code ?? "");
    const words = (about.text ?? "").toLowerCase().match(/[\p{L}\p{N}\p{M}]+/gu) ?? [];
    showQueryCode(bits, focused);
    at("hits").replaceChildren(...told.hits.map((hit) => showHit(hit, bits, words)));
    say(told.note ?? `${told.hits.length} hits near ${name}`);
  } catch (error) {
    if (mine === last) say(error.message, true);
  }
}

function describe() {
  const facts = kinds[at("collection").value];
  if (!facts) return;
  at("about").textContent = `${facts.n_items} ${facts.kind} items, codes of ${facts.n_bits} bits.`;
  const labels = { text: "Text", vector: "Vector, as [0.1, 0.2, ...]" };
  at("text-label").textContent = labels[facts.kind] ?? "Id of an item";
}

async function start() {
  try {
    kinds = (await ask("/v1/stats")).collections;
  } catch (error) {
    say(error.message, true);
    return;
  }
  at("token-row").hidden = true;
  say("");
  const names = Object.keys(kinds);
  at("collection").replaceChildren(...names.map((name) => element("option", "", name)));
  at("which").hidden = names.length < 2;
  describe();
}

at("collection").addEventListener("change", describe);
at("search").addEventListener("submit", async (event) => {
  event.preventDefault();
  if (at("token").value) {
    sessionStorage.setItem("token", at("token").value);
    at("token").value = "";
    await start();
  }
  const given = at("text").value.trim();
  const facts = kinds[at("collection").value];
  if (!given || !facts) return;
  if (facts.kind === "vector") {
    try {
      search({ vector: JSON.parse(given) }, "the vector");
    } catch {
      say("expected a list of numbers, such as [0.1, 0.2, ...]", true);
    }
  } else if (facts.kind === "text") {
    search({ text: given }, "the text");
  } else {
    search({ id: given }, given);
  }
});
start();

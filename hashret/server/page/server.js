// Asks the server that the page came from: JSON and pictures, with the token where one is needed.

import { at } from "./elements.js";

// An answer that is none: its status and what the server says is wrong.
export class Refused extends Error {
  constructor(status, detail) {
    super(typeof detail === "string" ? detail : `the server answered with status ${status}`);
    this.status = status;
  }

  // whether the server has no such endpoint at all, rather than no such item
  get isNoEndpoint() {
    return this.status === 405 || (this.status === 404 && this.message === "Not Found");
  }
}

let token = sessionStorage.getItem("token");

function headers(type) {
  return {
    ...(token ? { Authorization: `Bearer ${token}` } : {}),
    ...(type ? { "Content-Type": type } : {}),
  };
}

// The path with its parameters; lists are repeated, what is undefined or "" is left out.
export function withParameters(path, parameters) {
  const written = new URLSearchParams();
  for (const [key, value] of Object.entries(parameters)) {
    for (const one of [value].flat()) {
      if (one !== undefined && one !== null && one !== "") written.append(key, one);
    }
  }
  return written.size ? `${path}?${written}` : path;
}

// An id as one segment of a path; it may hold anything.
export const segment = (id) => encodeURIComponent(id.toWellFormed());

// The JSON at a path. `body` is sent as JSON, `picture` (a File) as it is. A missing token is asked
// for, and then the question is put again. Throws `Refused`.
export async function ask(path, { body, picture, signal } = {}) {
  const answer = await fetch(path, {
    method: body || picture ? "POST" : "GET",
    headers: headers(picture ? picture.type || "image/unknown" : body && "application/json"),
    body: picture ?? (body && JSON.stringify(body)),
    signal,
  });
  if (answer.status === 401 && (await tokenGiven())) return ask(path, { body, picture, signal });
  const told = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Refused(answer.status, told.detail);
  return told;
}

let waiting = null;

// Whether a token was given; however many ask at a time, there is one dialog.
function tokenGiven() {
  waiting ??= new Promise((resolve) => {
    const dialog = at("token-dialog");
    at("token-form").onsubmit = (event) => {
      event.preventDefault();
      token = at("token").value.trim();
      at("token").value = "";
      sessionStorage.setItem("token", token);
      dialog.close("given");
    };
    dialog.onclose = () => {
      resolve(dialog.returnValue === "given" && Boolean(token));
      dialog.returnValue = "";
      waiting = null;
    };
    dialog.showModal();
  });
  return waiting;
}

// Shows the picture at a path in an <img>: by its address, or, where a token must be sent, as a
// blob that is fetched when it comes into sight. `failed` is called where there is none.
export function showPicture(image, path, failed) {
  image.addEventListener("error", failed, { once: true });
  if (!token) {
    image.loading = "lazy";
    image.src = path;
    return;
  }
  const seen = new IntersectionObserver(async (entries) => {
    if (!entries.some((one) => one.isIntersecting)) return;
    seen.disconnect();
    const answer = await fetch(path, { headers: headers() }).catch(() => null);
    if (!answer?.ok) failed();
    else showBlob(image, await answer.blob());
  });
  seen.observe(image);
}

export function showBlob(image, blob) {
  image.src = URL.createObjectURL(blob);
  image.addEventListener("load", () => URL.revokeObjectURL(image.src), { once: true });
}

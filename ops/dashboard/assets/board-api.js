// Asking the server. Reads carry the tag of what is known, so that an unchanged answer costs a few bytes and no redrawing;
// nothing is asked while nobody looks. Changes carry the token.
import { token } from "./token.js";

/** What the server refused: what is the matter, and what to do. */
export class Refused extends Error {
  constructor(status, { code, what, do: todo }) {
    super(what);
    Object.assign(this, { status, code, todo });
  }
}

const known = new Map();
const turns = new Set();
const troubles = new Map();
let heard = (ok) => ok;

/** Called after every answer with what is wrong at present, or nothing. */
export function onNews(listener) {
  heard = listener;
}

async function refusal(answer) {
  const told = await answer.json().catch(() => ({}));
  return new Refused(answer.status, told.error ?? { code: "unknown", what: `the server said ${answer.status}`, do: "try again" });
}

async function read(path) {
  const before = known.get(path);
  const answer = await fetch(`/api/board${path}`, { headers: before ? { "if-none-match": before.tag } : {} });
  if (answer.status === 304) return { value: before.value, tag: before.tag };
  if (!answer.ok) throw await refusal(answer);
  const fresh = { value: await answer.json(), tag: answer.headers.get("etag") };
  known.set(path, fresh);
  return fresh;
}

/** Asks for a change; throws what was refused. */
export async function change(path, body = {}) {
  const headers = { "content-type": "application/json", "x-traider-token": token() };
  const answer = await fetch(`/api/board${path}`, { method: "POST", headers, body: JSON.stringify(body) });
  if (!answer.ok) throw await refusal(answer);
  lookAgain();
  return answer.json();
}

/** Asks everything that is on the page again, now. */
export function lookAgain() {
  for (const turn of turns) turn();
}

/**
 * Reads a path again and again while the page is looked at, and calls `show` when the answer changed. `missed` is called
 * when there is no such thing.
 */
export function poll(path, show, { ms = 2000, missed } = {}) {
  let timer = 0;
  let busy = false;
  let shown = null;
  const turn = async () => {
    clearTimeout(timer);
    if (document.hidden || busy) return;
    busy = true;
    const fresh = await read(path).catch((error) => error);
    busy = false;
    timer = setTimeout(turn, ms);
    if (fresh instanceof Error) {
      if (fresh.status === 404 && missed) return missed(fresh);
      troubles.set(path, fresh);
    } else {
      troubles.delete(path);
    }
    heard(troubles.values().next().value);
    if (fresh instanceof Error || fresh.tag === shown) return;
    shown = fresh.tag;
    show(fresh.value);
  };
  turns.add(turn);
  turn();
}

document.addEventListener("visibilitychange", () => { if (!document.hidden) lookAgain(); });

// The token comes in the address, behind a #: that part is never sent. It is taken out of the address bar at once and kept
// for this address and port alone.
const KEY = "token";

/** Takes the token out of the address, if it is there. */
export function takeToken() {
  const found = /^#token=([0-9a-f]{32})$/.exec(location.hash);
  if (!found) return;
  localStorage.setItem(KEY, found[1]);
  history.replaceState(null, "", location.pathname + location.search);
}

/** Keeps a token that was typed in. */
export function keepToken(text) {
  localStorage.setItem(KEY, text);
}

/** The token; empty when there is none. */
export function token() {
  return localStorage.getItem(KEY) ?? "";
}

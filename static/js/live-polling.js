// Asks the server for the live parts of the page: each has an hx-get of its own, triggered by "poll".

export const POLL_INTERVAL = 3000;
const HIDDEN_POLL_INTERVAL = 30_000; // in a hidden tab, whose notifications still have to come
const MIN_POLL_GAP = 2000; // between two polls for a table whose filter only the server can apply
const LIVE_PARTS = "#job-table, #job, #compare";

const polling = {
  askedAt: Date.now(),
  timer: 0,
  again: new Set(), // parts that changed while an answer was under way
  hasSkipped: false, // whether a patch left out what is in use
};

// A change that comes while an answer is under way may be newer than that answer. htmx would forget a trigger
// that waits there, because the patched element has other attributes.
function pollPart(part) {
  if (part.matches(".htmx-request")) polling.again.add(part);
  else htmx.trigger(part, "poll");
}

export function poll() {
  polling.askedAt = Date.now();
  document.querySelectorAll(LIVE_PARTS).forEach(pollPart);
}

export function pollJob(id) {
  document.querySelectorAll(`[data-jobs~="${id}"]`).forEach(pollPart);
}

export function pollSoon() {
  clearTimeout(polling.timer);
  polling.timer = setTimeout(poll, Math.max(0, polling.askedAt + MIN_POLL_GAP - Date.now()));
}

export function isPollDue() {
  return Date.now() - polling.askedAt >= (document.hidden ? HIDDEN_POLL_INTERVAL : POLL_INTERVAL);
}

// Calls back with whether the server answered.
export function onPolled(callback) {
  document.addEventListener("htmx:afterRequest", ({ detail: { target, xhr } }) => {
    if (!target.matches(LIVE_PARTS)) return; // a button that unfolds a sweep asks for the table, too
    if (polling.again.delete(target)) htmx.trigger(target, "poll");
    callback(xhr.status === 200 || xhr.status === 204);
  });
}

// A patch of the whole part says what is still skipped; one of a row only adds to it.
export function noteSkipped(hasSkipped, { isWhole }) {
  polling.hasSkipped = isWhole ? hasSkipped : polling.hasSkipped || hasSkipped;
}

const isDialogOpen = () => document.querySelector("dialog[open]") !== null;

export function pollSkipped() {
  if (polling.hasSkipped && !isDialogOpen() && !document.activeElement.closest(LIVE_PARTS)) pollSoon();
}

// Once the focus left or a dialog closed, what was skipped can be patched.
function catchUp() {
  setTimeout(() => {
    if (polling.hasSkipped && !isDialogOpen()) poll();
  });
}

document.addEventListener("focusout", catchUp);
document.addEventListener("close", catchUp, true); // of a dialog; it does not bubble

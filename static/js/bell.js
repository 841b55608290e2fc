// Keeps the number on the bell of the top bar, and has the bell list its entries when it opens.

const PAUSE = 500; // after a change of a job, so that several are one question
const INTERVAL = 30_000; // on pages without the live stream, and for what has no job

const bell = document.querySelector("details.bell");
let timer = 0;

function count() {
  clearTimeout(timer);
  timer = setTimeout(count, INTERVAL);
  const unread = document.getElementById("unread");
  if (unread && !document.hidden) htmx.trigger(unread, "poll");
}

function countSoon() {
  clearTimeout(timer);
  timer = setTimeout(count, PAUSE);
}

if (bell) {
  timer = setTimeout(count, INTERVAL);
  document.addEventListener("portal:job", countSoon);
  document.addEventListener("visibilitychange", countSoon);
  document.addEventListener("htmx:afterRequest", ({ detail: { elt, successful } }) => {
    if (elt.id === "unread" && !successful) elt.textContent = ""; // not a number that may be wrong now
  });
  bell.addEventListener("toggle", () => {
    if (bell.open) htmx.trigger("#latest", "open");
  });
}

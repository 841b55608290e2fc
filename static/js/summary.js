// The summary of the form of a new job. While the portal works out what was typed, what stands there is marked as
// old; where that failed no figure stays, and “Try again” asks once more.

const NUMBERS = "#id_steps, #id_learning_rate, #advanced input, #advanced select"; // each is followed by a request

const price = () => document.getElementById("price");
const parts = () => document.querySelectorAll("#plan, #price");
const chosen = () => document.querySelector("[name=offer]:checked")?.value;
const isChoice = (element) => element.matches("[name=offer]");
const ask = () => htmx.trigger(price(), "ask");

let isTyped = false; // something that no request was sent for yet

// A reader skips what may be wrong by now.
function mark(isOld) {
  for (const part of parts()) {
    part.setAttribute("aria-busy", String(isOld));
    for (const child of part.children) {
      if (isOld) child.setAttribute("aria-hidden", "true");
      else child.removeAttribute("aria-hidden");
    }
  }
}

function showUnknown() {
  document.getElementById("plan").classList.add("is-unknown");
  document.querySelector("[data-ask-again]").hidden = false;
  mark(isTyped);
}

// The new figures are there, and none is unknown.
function showKnown() {
  const button = document.querySelector("[data-ask-again]");
  if (button === document.activeElement) price().focus();
  button.hidden = true;
  mark(isTyped);
}

document.addEventListener("input", ({ target }) => {
  if (!target.matches(NUMBERS)) return;
  isTyped = true;
  mark(true);
});
document.addEventListener("click", ({ target }) => {
  if (target.closest("[data-ask-again]")) ask();
});

document.addEventListener("htmx:beforeRequest", ({ detail: { elt } }) => {
  if (elt === price()) {
    isTyped = false;
    elt.dataset.offer = chosen(); // what the figures are of
    mark(true);
  } else if (isChoice(elt)) mark(true);
});
// What replaces the price asks for it anew: an answer to the one before would only come too late.
document.addEventListener("htmx:beforeSwap", ({ detail: { requestConfig } }) => {
  if (isChoice(requestConfig.elt)) htmx.trigger(price(), "htmx:abort");
});
document.addEventListener("htmx:afterRequest", ({ detail: { elt, successful } }) => {
  if (successful && (elt === price() || isChoice(elt))) showKnown();
});
document.addEventListener("unknown", showUnknown);
document.addEventListener("taken-back", () => {
  const { offer } = price().dataset;
  if (offer && offer !== chosen()) ask();
  else if (!price().classList.contains("htmx-request")) mark(isTyped);
});

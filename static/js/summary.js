// What the form of a new job says of time and price. While the portal works out what was typed, the figures of
// before are marked as old; where that failed none stays, and “Try again” asks once more.

const NUMBERS = "#id_steps, #id_learning_rate, #advanced input, #advanced select"; // each is followed by a request

const price = () => document.getElementById("price");
const figures = () => document.querySelectorAll("#plan > *, #price > *, .expected");
const isOfPreset = (figure) => figure.closest(".presets") !== null; // whatever numbers are typed
const chosen = () => document.querySelector("[name=offer]:checked")?.value;
const isChoice = (element) => element.matches("[name=offer]");
const ask = () => htmx.trigger(price(), "ask");

const offers = new WeakMap(); // what was chosen when the figures were asked for, by their element
let isTyped = false; // something that no request was sent for yet

// Readers skip what may be wrong by now.
function markOld({ isOfPresets = false } = {}) {
  for (const figure of figures()) {
    if (isOfPresets || !isOfPreset(figure)) figure.setAttribute("aria-hidden", "true");
  }
  for (const part of [document.getElementById("plan"), price()]) part.setAttribute("aria-busy", "true");
}

function markNew() {
  for (const figure of figures()) figure.removeAttribute("aria-hidden");
  for (const part of [document.getElementById("plan"), price()]) part.removeAttribute("aria-busy");
  if (isTyped) markOld();
}

function showUnknown() {
  document.getElementById("plan").classList.add("is-unknown");
  for (const figure of document.querySelectorAll(".expected[aria-hidden]"))
    figure.classList.add("is-unknown");
  document.querySelector("[data-ask-again]").hidden = false;
  markNew();
}

// The new figures are there, and none is unknown.
function showKnown() {
  const button = document.querySelector("[data-ask-again]");
  if (button === document.activeElement) price().focus();
  button.hidden = true;
  markNew();
}

document.addEventListener("input", ({ target }) => {
  if (!target.matches(NUMBERS)) return;
  isTyped = true;
  markOld();
});
document.addEventListener("click", ({ target }) => {
  if (target.closest("[data-ask-again]")) ask();
});

document.addEventListener("htmx:beforeRequest", ({ detail: { elt, requestConfig } }) => {
  if (elt === price()) {
    isTyped = false;
    offers.set(elt, chosen());
    const { type, target } = requestConfig.triggeringEvent ?? {};
    markOld({ isOfPresets: type === "dataset-settled" || target?.id === "id_dataset" });
  } else if (isChoice(elt)) markOld({ isOfPresets: true });
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
  const offer = offers.get(price());
  if (offer && offer !== chosen()) ask();
  else if (!price().classList.contains("htmx-request")) markNew();
});

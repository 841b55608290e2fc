// The command palette: a combobox over a list of results (ARIA APG), which the server finds as one types.

import { describe } from "./failures.js";

const PAUSE = 120; // ms without a key until the server is asked

const dialog = document.getElementById("palette");
const input = dialog.querySelector("input");
const list = document.getElementById("palette-results");
const status = dialog.querySelector("[role=status]");
let [timer, asked] = [0, new AbortController()];
let isCurrent = false; // whether the results are those of what is typed
let isEntered = false; // whether Enter was pressed before they were there

const options = () => Array.from(list.querySelectorAll("[role=option]"));
const selected = () => list.querySelector("[aria-selected=true]");

export function start() {
  isCurrent = isEntered = false;
  ask();
}

function select(option) {
  selected()?.setAttribute("aria-selected", "false");
  option?.setAttribute("aria-selected", "true");
  option?.scrollIntoView({ block: "nearest" });
  if (option) input.setAttribute("aria-activedescendant", option.id);
  else input.removeAttribute("aria-activedescendant");
}

function move(by) {
  const all = options();
  const at = all.indexOf(selected());
  if (all.length) select(all[(at + by + all.length) % all.length]);
}

function changed() {
  isCurrent = isEntered = false;
  asked.abort(); // what it finds is no longer what is typed
  clearTimeout(timer);
  timer = setTimeout(ask, PAUSE);
}

function enter() {
  if (isCurrent) selected()?.click();
  else isEntered = true;
}

function forget() {
  if (dialog.open) return; // again, before the event came
  isEntered = false;
  clearTimeout(timer);
  asked.abort();
}

async function ask() {
  clearTimeout(timer);
  asked.abort();
  asked = new AbortController();
  const { signal } = asked;
  try {
    const address = `${dialog.dataset.results}?${new URLSearchParams({ q: input.value })}`;
    const answer = await fetch(address, { headers: { "HX-Request": "true" }, signal });
    const text = await answer.text();
    if (answer.ok) show(text);
    else fail({ status: answer.status, text, fromPortal: answer.headers.has("X-Request-ID") });
  } catch (error) {
    if (error.name !== "AbortError") fail({ status: 0, text: "", wasOffline: !navigator.onLine });
  }
}

function show(html) {
  list.innerHTML = html;
  const count = options().length;
  status.textContent = `${count} result${count === 1 ? "" : "s"}`;
  input.ariaExpanded = String(count > 0);
  select(options()[0]);
  isCurrent = true;
  if (isEntered) enter();
}

// What was found before is not what was asked for now.
function fail(answer) {
  isEntered = false;
  const sentence = answer.status === 401 ? "You are signed out." : describe(answer);
  const shown = document.createElement("p");
  shown.className = "failed";
  shown.textContent = `${sentence} Type again to retry.`;
  list.replaceChildren(shown);
  status.textContent = shown.textContent;
  input.ariaExpanded = "false";
  select(null);
}

input.addEventListener("input", changed);
dialog.addEventListener("close", forget);

input.addEventListener("keydown", (event) => {
  if (event.isComposing) return;
  const keys = { ArrowDown: () => move(1), ArrowUp: () => move(-1), Enter: enter };
  if (!keys[event.key]) return;
  event.preventDefault();
  keys[event.key]();
});

dialog.addEventListener("click", ({ target }) => {
  if (target === dialog) dialog.close(); // beside the palette
  const option = target.closest("[role=option]");
  if (!option) return;
  dialog.close();
  if (option.dataset.press) document.querySelector(option.dataset.press)?.click();
});

list.addEventListener("pointermove", ({ target }) => {
  const option = target.closest("[role=option]");
  if (option && option !== selected()) select(option);
});

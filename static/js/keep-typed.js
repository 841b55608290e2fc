// Keeps what was typed on a page while the person signs in again, in this tab only and for this person only.
// Passwords, keys, one-time codes and files are never kept.

import { person } from "./session.js";

const SHOWN = 10_000; // for how long it says that it is back
const PREFIX = "typed:";
const SECRET = "[type=hidden], [type=password], [type=file], [autocomplete=one-time-code], [data-secret] *";

const key = `${PREFIX}${person}:${location.pathname}${location.search}`;

const forms = () =>
  Array.from(document.querySelectorAll("form[method=post]")).filter(({ id }) => id !== "action-form");
const nameOf = (form) => form.id || form.getAttribute("action") || "";
const isTickable = ({ type }) => type === "checkbox" || type === "radio";

function fieldsOf(form) {
  return Array.from(form.elements).filter(
    (field) => field.name && field.matches("input, select, textarea") && !field.matches(SECRET),
  );
}

export function keepTyped() {
  if (!person) return;
  const typed = forms().map((form) => [
    nameOf(form),
    fieldsOf(form).map((field) => [
      field.name,
      isTickable(field) ? [field.value, field.checked] : field.value,
    ]),
  ]);
  sessionStorage.setItem(key, JSON.stringify(typed));
}

function fill(field, value) {
  if (isTickable(field)) {
    if (field.checked === value[1]) return false;
    field.checked = value[1];
    return true;
  }
  if (field.value === value) return false;
  const before = field.value;
  field.value = value;
  if (field.value !== value) field.value = before; // an option that is gone
  return field.value === value;
}

function restore(form, typed) {
  const fields = fieldsOf(form);
  const changed = [];
  for (const [name, value] of typed) {
    const field = fields.find(
      (each) =>
        each.name === name && (!isTickable(each) || each.value === value[0]) && !changed.includes(each),
    );
    if (field && fill(field, value)) changed.push(field);
  }
  for (const field of changed) {
    const fold = field.closest("details");
    if (fold) fold.open = true;
    for (const kind of ["input", "change"]) field.dispatchEvent(new Event(kind, { bubbles: true }));
  }
  return changed.length > 0;
}

// Fields that another one brings, as a connection its parameters, are filled when they are there.
function restoreLater(typed) {
  const waiting = new Map(
    forms()
      .filter((form) => typed.has(nameOf(form)))
      .map((form) => [nameOf(form), typed.get(nameOf(form)).filter(([name]) => !form.elements[name])]),
  );
  document.addEventListener("htmx:load", () => {
    for (const form of forms()) {
      const pairs = waiting.get(nameOf(form)) ?? [];
      const there = pairs.filter(([name]) => form.elements[name]);
      waiting.set(
        nameOf(form),
        pairs.filter((pair) => !there.includes(pair)),
      );
      restore(form, there);
    }
  });
}

function restoreAll() {
  const kept = sessionStorage.getItem(key);
  if (!kept) return;
  sessionStorage.removeItem(key);
  const typed = new Map(JSON.parse(kept));
  restoreLater(typed);
  const restored = forms().filter(
    (form) => typed.has(nameOf(form)) && restore(form, typed.get(nameOf(form))),
  );
  if (!restored.length) return;
  const message = document.querySelector("[data-typed-restored]");
  message.hidden = false;
  setTimeout(() => message.remove(), SHOWN);
}

// What another person typed in this tab is nobody's business.
function forgetOthers() {
  for (const each of Object.keys(sessionStorage)) {
    if (each.startsWith(PREFIX) && !each.startsWith(`${PREFIX}${person}:`)) sessionStorage.removeItem(each);
  }
}

if (person) {
  forgetOthers();
  window.addEventListener("load", restoreAll); // after the scripts of the page
}

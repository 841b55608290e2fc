// Keyboard shortcuts of every page, and those of the jobs table, which the dialog that ? opens lists. Enter
// opens a job, as on any link.

import { showFailure } from "./failures.js";

const SECOND_KEY_WITHIN = 1500; // ms after g

const ROW = "#job-table :is(tbody tr, .job-card)";
const NAME = ".name :is(a, button)"; // of a job, or of a sweep, which it unfolds

const names = () => Array.from(document.querySelectorAll(`${ROW} ${NAME}`));

function moveFocus(by) {
  const all = names();
  const at = all.indexOf(document.activeElement.closest(ROW)?.querySelector(NAME));
  all[at < 0 ? 0 : Math.min(all.length - 1, Math.max(0, at + by))]?.focus();
}

function isChanged(field) {
  if (field.matches("[type=checkbox], [type=radio]")) return field.checked !== field.defaultChecked;
  if (field.localName !== "select") return field.value !== field.defaultValue;
  const options = Array.from(field.options);
  const byDefault = options.find((option) => option.defaultSelected) ?? options[0];
  return field.value !== (byDefault?.value ?? "");
}

// Whether a form of the page holds what is not sent yet. One that came back with what is wrong, or with a
// question, has it as its defaults. The jobs that are selected in the table are typed by nobody.
function hasUnsent() {
  const forms = Array.from(document.querySelectorAll("main form[method=post]:not(#bulk-actions)"));
  return forms.some(
    (form) =>
      form.querySelector(".banner[role=alert]") ||
      Array.from(form.elements).some((field) => field.matches("input, select, textarea") && isChanged(field)),
  );
}

function leaveTo(link) {
  if (!hasUnsent()) link?.click();
}

const palette = document.getElementById("palette");

// Open before its script is there, which is fetched the first time, so that no key is lost.
async function openPalette() {
  if (document.querySelector("dialog[open]")) return;
  palette.querySelector("input").value = "";
  palette.showModal();
  try {
    const { start } = await import("./palette.js");
    start();
  } catch {
    palette.close();
    const answer = { status: 0, wasOffline: !navigator.onLine, isRead: true };
    showFailure("palette", answer, { retry: openPalette });
  }
}

const SHORTCUTS = {
  "/": () => (document.getElementById("q") ? document.getElementById("q").focus() : openPalette()),
  n: () => leaveTo(document.querySelector("[data-new-training], [data-key=n]")),
  j: () => moveFocus(1),
  k: () => moveFocus(-1),
  x: () => document.activeElement.closest(ROW)?.querySelector(".select input").click(),
  b: () => document.querySelector("#bulk-actions button")?.focus(),
  "?": () =>
    document.getElementById("shortcuts") ? document.getElementById("shortcuts").showModal() : openPalette(),
};

let goAt = Number.NEGATIVE_INFINITY; // when g was pressed, after which a key of the top bar leads to a page

document.addEventListener("keydown", (event) => {
  if (!palette || event.altKey) return;
  if (event.ctrlKey || event.metaKey) {
    if (event.key !== "k") return;
    event.preventDefault();
    openPalette();
    return;
  }
  if (event.target.closest("input:not([type=checkbox]), textarea, select, dialog")) return;
  const isSecond = event.timeStamp - goAt < SECOND_KEY_WITHIN;
  goAt = event.key === "g" ? event.timeStamp : Number.NEGATIVE_INFINITY;
  const page = isSecond && document.querySelector(`[data-key="g ${CSS.escape(event.key)}"]`);
  const shortcut = page ? () => leaveTo(page) : SHORTCUTS[event.key];
  if (!shortcut) return;
  event.preventDefault();
  shortcut();
});

for (const button of document.querySelectorAll("[data-palette]")) {
  button.addEventListener("click", openPalette);
}

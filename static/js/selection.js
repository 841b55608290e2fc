// Selects jobs of the table: all that are shown, or with Shift all up to the last one. Says how many are selected,
// and keeps which, while somebody looks at their comparison and comes back.

const KEY = "selected-jobs";
const COMPARISONS = /^\/(?:jobs\/compare|try)\//;

const boxes = () => Array.from(document.querySelectorAll("#job-table [name=job]"));

function isBack() {
  const type = performance.getEntriesByType("navigation")[0]?.type; // none while the page is still loading
  const from = document.referrer && new URL(document.referrer);
  return type === "back_forward" || (from?.origin === location.origin && COMPARISONS.test(from.pathname));
}

function restore() {
  const selected = JSON.parse(sessionStorage.getItem(KEY) ?? "[]");
  for (const box of boxes()) if (selected.includes(box.value)) box.checked = true;
}

function count(selected) {
  const shown = document.querySelector("[data-selected]");
  const all = document.getElementById("select-all");
  if (!shown || !all) return; // no job is there, or the table is just being patched
  shown.textContent = `${selected.length} selected`;
  all.checked = selected.length > 0 && selected.length === boxes().length;
  all.indeterminate = selected.length > 0 && !all.checked;
}

function select(chosen, checked) {
  for (const box of chosen) box.checked = checked;
  keep();
}

function keep() {
  const selected = boxes().filter(({ checked }) => checked);
  count(selected);
  sessionStorage.setItem(KEY, JSON.stringify(selected.map(({ value }) => value)));
}

if (isBack()) {
  restore();
  keep();
} else sessionStorage.removeItem(KEY);

let last = null; // the box that was pressed before, from which Shift reaches

document.addEventListener("click", ({ target, shiftKey }) => {
  if (target.closest("#clear-selection")) select(boxes(), false);
  if (!target.matches("#job-table [name=job]")) return;
  const shown = boxes();
  const ends = [shown.indexOf(last), shown.indexOf(target)].sort((a, b) => a - b);
  if (shiftKey && ends[0] >= 0) select(shown.slice(ends[0], ends[1] + 1), target.checked);
  last = target;
});
document.addEventListener("change", ({ target }) => {
  if (target.id === "select-all") select(boxes(), target.checked);
  else if (target.matches("#job-table [name=job]")) keep();
});
// Rows came in or went: all are selected no longer, or fewer are.
for (const change of ["htmx:load", "htmx:afterSwap"]) {
  document.addEventListener(change, () => count(boxes().filter(({ checked }) => checked)));
}

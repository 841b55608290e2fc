// Says how many jobs of the table are selected, and keeps which, while somebody looks at their comparison and
// comes back.

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
  if (shown) shown.textContent = `${selected.length} selected`;
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
document.addEventListener("change", ({ target }) => target.matches("#job-table [name=job]") && keep());

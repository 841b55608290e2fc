// Selects jobs of the table: all that are shown, with Shift all up to the last one, or all of a sweep. Says how many
// are selected, and keeps which, while somebody unfolds a sweep, or looks at a comparison and comes back.

const KEY = "selected-jobs";
const COMPARISONS = /^\/(?:jobs\/compare|try)\//;

// The box of a sweep that is not unfolded stands for all its jobs.
const boxes = () => Array.from(document.querySelectorAll("#job-table [name=job]"));
const keysOf = (box) => box.value.split(",");
// Of an unfolded one, whose jobs have boxes of their own.
const sweepBoxes = () => Array.from(document.querySelectorAll("#job-table [data-sweep-jobs]:not([name])"));

function jobsOf(sweepBox) {
  const keys = sweepBox.dataset.sweepJobs.split(",");
  return boxes().filter(({ value }) => keys.includes(value));
}

function isBack() {
  const type = performance.getEntriesByType("navigation")[0]?.type; // none while the page is still loading
  const from = document.referrer && new URL(document.referrer);
  return type === "back_forward" || (from?.origin === location.origin && COMPARISONS.test(from.pathname));
}

function restore() {
  const selected = JSON.parse(sessionStorage.getItem(KEY) ?? "[]");
  for (const box of boxes()) if (keysOf(box).every((key) => selected.includes(key))) box.checked = true;
}

// Shows how many of these boxes are checked on the one above them.
function showOn(above, below) {
  const checked = below.filter((box) => box.checked).length;
  above.checked = checked > 0 && checked === below.length;
  above.indeterminate = checked > 0 && !above.checked;
}

function keep() {
  const selected = boxes().filter(({ checked }) => checked);
  const keys = selected.flatMap(keysOf);
  sessionStorage.setItem(KEY, JSON.stringify(keys));
  for (const box of boxes()) box.indeterminate = false; // as that of a sweep was while it was unfolded
  for (const box of sweepBoxes()) showOn(box, jobsOf(box));
  const shown = document.querySelector("[data-selected]");
  const all = document.getElementById("select-all");
  if (!shown || !all) return; // no job is there, or the table is just being patched
  shown.textContent = `${keys.length} selected`;
  showOn(all, boxes());
}

function select(chosen, checked) {
  for (const box of chosen) box.checked = checked;
  keep();
}

if (isBack()) restore();
else sessionStorage.removeItem(KEY);
keep();

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
  else if (target.matches("#job-table [data-sweep-jobs]")) select(jobsOf(target), target.checked);
});
// Rows came in or went: all are selected no longer, or fewer are, or a sweep was unfolded.
for (const change of ["htmx:load", "htmx:afterSwap"]) {
  document.addEventListener(change, () => {
    restore();
    keep();
  });
}

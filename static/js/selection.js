// Selects jobs of the table: all that are shown, with Shift all up to the last one, or all of a sweep. Says how many
// are selected, and keeps which, while somebody unfolds and folds a sweep, looks at a comparison and comes back, or
// reads why an action was refused.

const KEY = "selected-jobs";
const COMPARISONS = /^\/(?:jobs\/compare|try)\//;

// The box of a sweep that is not unfolded stands for all its jobs.
const boxes = () => Array.from(document.querySelectorAll("#job-table [name=job]"));
const keysOf = (box) => box.value.split(",");
const stored = () => JSON.parse(sessionStorage.getItem(KEY) ?? "[]");
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

const isRefused = () => document.querySelector("#messages .error") !== null;

// Some of the jobs of a sweep that is not unfolded are shown on its box as they were when it was.
function restore() {
  const selected = stored();
  for (const box of boxes()) {
    const keys = keysOf(box);
    if (keys.every((key) => selected.includes(key))) box.checked = true;
    box.indeterminate = !box.checked && keys.some((key) => selected.includes(key));
  }
}

// A box that is neither checked nor unchecked has the keys that were stored.
function selectedKeys(box) {
  if (box.checked) return keysOf(box);
  const selected = box.indeterminate ? stored() : [];
  return keysOf(box).filter((key) => selected.includes(key));
}

// Shows how many of these boxes are checked on the one above them.
function showOn(above, below) {
  above.checked = below.length > 0 && below.every((box) => box.checked);
  above.indeterminate = !above.checked && below.some((box) => box.checked || box.indeterminate);
}

function keep() {
  const keys = boxes().flatMap(selectedKeys);
  sessionStorage.setItem(KEY, JSON.stringify(keys));
  for (const box of sweepBoxes()) showOn(box, jobsOf(box));
  const shown = document.querySelector("[data-selected]");
  const all = document.getElementById("select-all");
  if (!shown || !all) return; // no job is there, or the table is just being patched
  showOn(all, boxes());
  const most = Number(shown.dataset.most);
  const areTooMany = keys.length > most;
  shown.textContent = `${keys.length} selected${areTooMany ? `, at most ${most} at a time` : ""}`;
  for (const button of shown.closest("form").querySelectorAll("button:not([type])"))
    button.disabled = areTooMany;
}

function select(chosen, checked) {
  for (const box of chosen) {
    box.checked = checked;
    box.indeterminate = false;
  }
  keep();
}

if (isBack() || isRefused()) restore();
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
// The browser sends boxes that are checked.
document.addEventListener("formdata", ({ target, formData }) => {
  if (target.id !== "bulk-actions") return;
  for (const box of boxes()) if (box.indeterminate) formData.append(box.name, selectedKeys(box).join(","));
});
// Rows came in or went: all are selected no longer, or fewer are, or a sweep was unfolded.
for (const change of ["htmx:load", "htmx:afterSwap"]) {
  document.addEventListener(change, () => {
    restore();
    keep();
  });
}

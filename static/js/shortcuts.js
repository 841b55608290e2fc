// Keyboard shortcuts of the jobs table; the dialog that ? opens lists them. Enter opens a job, as on any
// link.

const jobLinks = () => Array.from(document.querySelectorAll("#job-table tbody tr .name a"));

function moveFocus(by) {
  const links = jobLinks();
  const at = links.indexOf(document.activeElement.closest("tr")?.querySelector(".name a"));
  links[at < 0 ? 0 : Math.min(links.length - 1, Math.max(0, at + by))]?.focus();
}

const SHORTCUTS = {
  "/": () => document.getElementById("q")?.focus(),
  n: () => document.querySelector("[data-new-training]")?.click(),
  j: () => moveFocus(1),
  k: () => moveFocus(-1),
  x: () => document.activeElement.closest("#job-table tbody tr")?.querySelector("[name=job]").click(),
  b: () => document.querySelector("#bulk-actions button")?.focus(),
  "?": () => document.getElementById("shortcuts")?.showModal(),
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest("input:not([type=checkbox]), textarea, select, dialog")) return;
  const shortcut = SHORTCUTS[event.key];
  if (!shortcut) return;
  event.preventDefault();
  shortcut();
});

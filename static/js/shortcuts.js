// The table by keyboard: / search, n new training, j and k from job to job, x ticks, b to what is done with the ticked
// ones, ? this list. Enter opens, as on any link.

const jobs = () => Array.from(document.querySelectorAll("#job-table tbody tr .name a"));

function step(by) {
  const links = jobs();
  const at = links.indexOf(document.activeElement.closest("tr")?.querySelector(".name a"));
  links[at < 0 ? 0 : Math.min(links.length - 1, Math.max(0, at + by))]?.focus();
}

const ACTIONS = {
  "/": () => document.getElementById("q")?.focus(),
  n: () => document.querySelector("[data-new-training]")?.click(),
  j: () => step(1),
  k: () => step(-1),
  x: () => document.activeElement.closest("#job-table tbody tr")?.querySelector("[name=job]").click(),
  b: () => document.querySelector("#bulk-actions button")?.focus(),
  "?": () => document.getElementById("shortcuts")?.showModal(),
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest("input:not([type=checkbox]), textarea, select, dialog")) return;
  const action = ACTIONS[event.key];
  if (!action) return;
  event.preventDefault();
  action();
});

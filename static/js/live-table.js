// Applies what comes to the page: rows, counts and banners from the stream, whole parts from a poll.
//
// An answer with the whole table may be older than what was pushed while it was under way. So that is applied
// once more to the rows that the answer has, and the next answer is whole again.

import { isGrid, matchesFilter, needsServer } from "./live-filter.js";
import { announceChange, statusOf } from "./live-messages.js";
import { isPointed, morph, parse, withToken } from "./live-morph.js";
import { noteSkipped, poll, pollJob, pollSoon } from "./live-polling.js";

const ROWS = "#job-table :is(tbody tr, .job-card)";
const MARKED = 8000; // for how long a new row is marked, and one that no longer matches the filter stays

const underWay = new Map(); // by the request for a table: what was pushed since

function push(apply, data) {
  apply(data);
  for (const pushed of underWay.values()) pushed.push([apply, data]);
}

document.addEventListener("htmx:beforeSend", ({ detail: { target, xhr } }) => {
  if (target.id === "job-table") underWay.set(xhr, []);
});

document.addEventListener("htmx:afterRequest", ({ detail: { xhr } }) => {
  const pushed = underWay.get(xhr) ?? [];
  underWay.delete(xhr);
  const table = document.getElementById("job-table");
  if (!pushed.length || !table) return;
  askWhole(table);
  htmx.process(table);
  for (const [apply, data] of pushed) apply(data, { isRepeated: true });
});

export function showRow(row) {
  pollJob(row.id);
  const { dataset } = parse(row.html).querySelector(".badge");
  document.dispatchEvent(new CustomEvent("portal:job", { detail: dataset }));
  if (document.getElementById("job-table")) push(applyRow, row);
}

function applyRow({ id, html, ...job }, { isRepeated = false } = {}) {
  const fresh = parse(html);
  const shown = document.getElementById(fresh.id);
  if (isGrid()) return shown || needsServer(job) ? pollSoon() : undefined;
  const isMatch = matchesFilter(job);
  if (shown) patchRow(shown, fresh, isMatch);
  else if (isMatch && !isRepeated) insertRow(id, fresh);
  const isNewOrDeleted = isRepeated && isMatch && !shown;
  if (isNewOrDeleted || needsServer(job)) pollSoon();
}

// Only the percentage changed, so a row that is not shown stays out.
export function showProgress(row) {
  pollJob(row.id);
  push(applyProgress, row);
}

function applyProgress({ id, html, ...job }) {
  const shown = document.getElementById(`job-${id}`);
  if (shown && isGrid()) pollSoon();
  else if (shown) patchRow(shown, parse(html), matchesFilter(job));
}

export const showCounts = (counts) => push(applyCounts, counts);

function applyCounts(counts) {
  for (const tab of document.querySelectorAll("#job-table [data-live-counts] [data-filter]")) {
    tab.querySelector("span").textContent = counts[tab.dataset.filter || "all"];
  }
}

export function showBanners({ html }) {
  const banners = document.getElementById("banners");
  if (banners) morph(banners, parse(html));
}

function patchRow(shown, fresh, isMatch) {
  const before = statusOf(shown);
  // Under its sweep a row is marked, which the stream does not know.
  if (shown.matches("[data-under-sweep]")) fresh.dataset.underSweep = "";
  const { isComplete, added } = morph(shown, fresh);
  noteSkipped(!isComplete, { isWhole: false });
  activate(shown, added);
  if (statusOf(shown) !== before) announceChange(shown);
  shown.toggleAttribute("data-filtered-out", isMatch === false);
  if (isMatch === false) setTimeout(removeRow, MARKED, shown);
}

// A row that no longer matches the filter goes once nobody uses it.
function removeRow(shown) {
  if (!shown.isConnected || !shown.hasAttribute("data-filtered-out")) return;
  const isUsed =
    isPointed(shown) || shown.contains(document.activeElement) || shown.querySelector(":checked");
  if (isUsed) setTimeout(removeRow, MARKED, shown);
  else keepScroll(() => shown.remove());
}

function insertRow(id, fresh) {
  const body = document.querySelector("#job-table tbody");
  if (!body) return poll();
  if (body.querySelector(".sweep")) return pollSoon(); // whose place among the jobs only the server knows
  const older = Array.from(body.rows).find((row) => Number(row.id.slice("job-".length)) < id);
  if (!older && document.querySelector('#job-table [rel="next"]')) return;
  keepScroll(() => body.insertBefore(fresh, older || null));
  fresh.dataset.new = "";
  setTimeout(() => delete fresh.dataset.new, MARKED);
  activate(fresh, [fresh]);
  announceChange(fresh);
}

// Lets htmx and the other scripts find new elements.
function activate(element, added) {
  htmx.process(element);
  for (const each of added) htmx.trigger(each, "htmx:load");
}

// What someone points at, has focused or reads stays in its place when rows or cards come and go above it.
function keepScroll(change) {
  const rows = Array.from(document.querySelectorAll(ROWS));
  const top = document.querySelector(".topbar").offsetHeight;
  const isScrolled = rows[0]?.getBoundingClientRect().top < top;
  const kept =
    rows.find(isPointed) ||
    document.activeElement.closest(ROWS) ||
    (isScrolled ? rows.find((row) => row.getBoundingClientRect().top >= top) : undefined);
  const before = kept?.getBoundingClientRect().top;
  const result = change();
  if (kept?.isConnected) window.scrollBy(0, kept.getBoundingClientRect().top - before);
  return result;
}

// With no stamp of what is shown, the next answer is whole.
function askWhole(part) {
  const [path, query] = part.getAttribute("hx-get").split("?");
  const params = new URLSearchParams(query);
  params.set("seen", "");
  part.setAttribute("hx-get", `${path}?${params}`);
}

htmx.defineExtension("live", {
  handleSwap(style, target, fragment) {
    if (style !== "live") return false;
    const fresh = withToken(fragment.querySelector(`#${target.id}`));
    const { isComplete, added } = keepScroll(() => morph(target, fresh));
    if (!isComplete) askWhole(target);
    noteSkipped(!isComplete, { isWhole: true });
    htmx.process(target);
    return added;
  },
});

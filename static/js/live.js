// Keeps the table and the job page live: applies what the stream tells, asks for the piece while there is none,
// and says which of the two it is.

import { isPointed, morph } from "./live-morph.js";
import { listen } from "./live-stream.js";

const EVERY = 3000;
const SELDOM = 30_000; // in a tab that nobody looks at, whose notifications still have to come
const WORDS = {
  start: "Connecting",
  live: "Live",
  polling: `Checking every ${EVERY / 1000} s`,
  lost: "No connection, trying again",
};
const NEW = 8000; // for how long a new row is marked, and one that fits no more stays
const SILENT = 17_000; // the server beats every five seconds; longer than live-stream.js waits
const PACE = 2000; // between two looks of a table that only the portal can fill
const PAUSE = 4000; // between two sentences for screen readers

let link = "start";
let heard = Date.now(); // when the page was last known to show what the portal knows
let answered = 0; // when the upstream last told the portal, as far as it is known
let asked = Date.now();
let leftOver = false;

const place = () => document.getElementById("live");
const PIECES = "#job-table, #job, #compare";
const pieces = () => document.querySelectorAll(PIECES);

function parse(html) {
  const holder = document.createElement("template");
  holder.innerHTML = html;
  return ours(holder.content.firstElementChild);
}

// What is rendered once for all has nobody's token; and another token for the same viewer is no change.
function ours(fresh) {
  const token = document.querySelector("#action-form [name=csrfmiddlewaretoken]").value;
  for (const input of fresh.querySelectorAll("[name=csrfmiddlewaretoken]"))
    input.setAttribute("value", token);
  return fresh;
}

// The link ---------------------------------------------------------------------------------------------------

const heeds = { hello, row, progress, counts, mood, stale, down, beat };

function hear(name, data) {
  if (name !== "down" && link !== "live") hello();
  heeds[name](data);
  if (link === "live") heard = Date.now();
  tick();
}

function hello() {
  if (link === "live") return;
  if (link !== "start") say("Live again.");
  link = "live";
  ask();
}

function beat({ age }) {
  if (age !== undefined) answered = Date.now() - 1000 * age;
}

function down() {
  if (link === "polling" || link === "lost") return;
  link = "polling";
  say(`The live link dropped. ${WORDS.polling}.`);
  ask();
}

function stale() {
  setTimeout(ask, Math.random() * 1000);
}

// Nothing where the browser has none, or keeps them from a page that may store nothing.
function sharedWorker({ workerUrl: worker, person }) {
  try {
    return new SharedWorker(worker, { type: "module", name: `live-${person}` });
  } catch {
    return null;
  }
}

function connect() {
  const shared = sharedWorker(place().dataset);
  let leave = shared ? () => shared.port.postMessage("bye") : listen(hear);
  if (shared) {
    shared.port.onmessage = ({ data: { name, data } }) => hear(name, data);
    const listenAlone = () => {
      leave = listen(hear);
    };
    shared.addEventListener("error", listenAlone, { once: true });
  }
  window.addEventListener("pagehide", () => leave(), { once: true });
}

// A page that the browser kept for "Back" shows what was true then.
window.addEventListener("pageshow", ({ persisted }) => {
  if (!persisted) return;
  link = "start";
  connect();
  ask();
});

// What it tells ----------------------------------------------------------------------------------------------

function row({ id, html, ...job }) {
  askOfJob(id);
  const fresh = parse(html);
  tellOf(fresh);
  if (!document.getElementById("job-table")) return;
  const shown = document.getElementById(fresh.id);
  const fits = belongs(job);
  if (shown) change(shown, fresh, fits);
  else if (fits) insert(id, fresh);
  if (mustAsk(job)) askSoon();
}

// Only the percent moved on, so a row that is not shown stays out.
function progress({ id, html, ...job }) {
  askOfJob(id);
  const shown = document.getElementById(`job-${id}`);
  if (shown) change(shown, parse(html), belongs(job));
}

function tellOf(fresh) {
  const { dataset } = fresh.querySelector(".badge");
  document.dispatchEvent(new CustomEvent("portal:job", { detail: dataset }));
}

function change(shown, fresh, fits) {
  const before = statusOf(shown);
  const { whole, added } = morph(shown, fresh);
  leftOver ||= !whole;
  refresh(shown, added);
  if (statusOf(shown) !== before) mention(shown);
  shown.toggleAttribute("data-filtered-out", fits === false);
  if (fits === false) setTimeout(leave, NEW, shown);
}

// A row that no longer fits the filter: not while someone is at it.
function leave(shown) {
  if (!shown.isConnected || !shown.hasAttribute("data-filtered-out")) return;
  const isUsed =
    isPointed(shown) || shown.contains(document.activeElement) || shown.querySelector(":checked");
  if (isUsed) setTimeout(leave, NEW, shown);
  else hold(() => shown.remove());
}

function insert(id, fresh) {
  const body = document.querySelector("#job-table tbody");
  if (!body) return ask();
  const older = Array.from(body.rows).find((other) => Number(other.id.slice(4)) < id);
  if (!older && document.querySelector('#job-table [rel="next"]')) return;
  hold(() => body.insertBefore(fresh, older || null));
  fresh.dataset.new = "";
  setTimeout(() => delete fresh.dataset.new, NEW);
  refresh(fresh, [fresh]);
  mention(fresh);
}

const filter = () => Object.fromEntries(new URLSearchParams(location.search));
const differs = (wanted, found) => Boolean(wanted) && wanted !== String(found ?? "");

// Whether the filter speaks for certain against a job, whatever state it is in.
function isForeign({ owner, dataset, archived }) {
  const wanted = filter();
  const isOthers = wanted.mine === "on" && differs(place().dataset.person, owner);
  return (
    isOthers ||
    differs(wanted.by, owner) ||
    differs(wanted.dataset, dataset) ||
    archived !== (wanted.archived === "on")
  );
}

// Whether a job comes in here: yes, no, or undefined where only the portal knows.
function belongs(job) {
  const { state, mine, by, dataset, archived, before, after, ...others } = filter();
  if (isForeign(job) || differs(state, job.group)) return false;
  return Object.values({ before, after, ...others }).some(Boolean) ? undefined : true;
}

// Of a search, an order and the like only the portal knows, and so it is with the numbers under a filter.
function mustAsk(job) {
  const { state, before, after, ...others } = filter();
  return Object.values(others).some(Boolean) && !isForeign(job);
}

// What someone points at, is at or reads stays where it is when rows come and go above it.
function hold(deed) {
  const rows = Array.from(document.querySelectorAll("#job-table tbody tr"));
  const top = document.querySelector(".topbar").offsetHeight;
  const isScrolled = rows[0]?.getBoundingClientRect().top < top;
  const held =
    rows.find(isPointed) ||
    document.activeElement.closest("#job-table tbody tr") ||
    (isScrolled ? rows.find((each) => each.getBoundingClientRect().top >= top) : undefined);
  const before = held?.getBoundingClientRect().top;
  const done = deed();
  if (held?.isConnected) window.scrollBy(0, held.getBoundingClientRect().top - before);
  return done;
}

function counts(data) {
  for (const tab of document.querySelectorAll("#job-table [data-live-counts] [data-filter]")) {
    tab.querySelector("span").textContent = data[tab.dataset.filter || "all"];
  }
}

function mood({ html }) {
  const banners = document.getElementById("banners");
  if (banners) morph(banners, parse(html));
}

function refresh(element, added) {
  htmx.process(element);
  for (const each of added) htmx.trigger(each, "htmx:load");
}

// Asking -----------------------------------------------------------------------------------------------------

// A change that comes while an answer is under way may be newer than that answer. htmx itself would forget what
// waits there, as the piece that is brought in has other attributes.
const again = new Set();

function askFor(piece) {
  if (piece.matches(".htmx-request")) again.add(piece);
  else htmx.trigger(piece, "poll");
}

function ask() {
  asked = Date.now();
  pieces().forEach(askFor);
}

function askOfJob(id) {
  document.querySelectorAll(`[data-jobs~="${id}"]`).forEach(askFor);
}

function askSoon() {
  clearTimeout(askSoon.timer);
  askSoon.timer = setTimeout(ask, Math.max(0, asked + PACE - Date.now()));
}

htmx.defineExtension("live", {
  handleSwap(style, target, fragment) {
    if (style !== "live") return false;
    const address = target.getAttribute("hx-get");
    const fresh = ours(fragment.querySelector(`#${target.id}`));
    const { whole, added } = hold(() => morph(target, fresh));
    if (!whole) target.setAttribute("hx-get", address); // with the stamp of before: the next answer is whole again
    leftOver = !whole;
    htmx.process(target);
    return added;
  },
});

document.addEventListener("htmx:afterRequest", ({ detail: { elt, xhr } }) => {
  if (!elt.matches(PIECES)) return;
  const isAnswered = xhr.status === 200 || xhr.status === 204;
  if (isAnswered) heard = Date.now();
  if (link === "polling" || link === "lost") link = isAnswered ? "polling" : "lost";
  if (again.delete(elt)) htmx.trigger(elt, "poll");
  tick();
});

const isBusy = () => document.querySelector("dialog[open]") || document.activeElement.closest(PIECES);

function catchUp() {
  setTimeout(() => {
    if (leftOver && !document.querySelector("dialog[open]")) ask();
  });
}

document.addEventListener("focusout", catchUp);
document.addEventListener("close", catchUp, true); // of a dialog; it does not bubble
document.addEventListener("visibilitychange", tick);

// Words ------------------------------------------------------------------------------------------------------

function tick() {
  if (link === "live" && Date.now() - heard > SILENT) down();
  const late = Date.now() - asked >= (document.hidden ? SELDOM : EVERY);
  if (link === "start" && late) link = "polling";
  if (link !== "live" && late) ask();
  if (leftOver && !isBusy()) askSoon();
  const words = place()?.querySelector("[data-live-text]");
  if (!words) return;
  const text = link === "live" ? [WORDS.live, ...since(answered)] : [WORDS[link], `as of ${ago(heard)}`];
  if (words.textContent !== text.join(" · ")) words.textContent = text.join(" · ");
  place().dataset.link = link;
}

function ago(moment) {
  const seconds = Math.round((Date.now() - moment) / 1000);
  if (seconds < 2) return "now";
  return seconds < 120 ? `${seconds} s ago` : `${Math.round(seconds / 60)} min ago`;
}

// The stream is as new as it can be; what it tells is as old as the upstream's last answer. In calm steps.
function since(moment) {
  if (!moment) return [];
  const seconds = Math.floor((Date.now() - moment) / 10_000) * 10;
  return [`upstream answered ${seconds ? ago(Date.now() - 1000 * seconds) : "just now"}`];
}

const mentioned = new Map();
let mayspeak = 0;

const statusOf = (shown) => shown.querySelector(".badge")?.textContent.trim();

function mention(shown) {
  mentioned.set(shown.id, shown);
  clearTimeout(mention.timer);
  mention.timer = setTimeout(sumUp, Math.max(1000, mayspeak - Date.now()));
}

function sumUp() {
  const rows = Array.from(mentioned.values());
  mentioned.clear();
  const named = rows
    .slice(0, 2)
    .map((shown) => `“${shown.querySelector("a").textContent}”: ${statusOf(shown)}.`);
  say(rows.length > 2 ? `${rows.length} jobs changed.` : named.join(" "));
}

function say(sentence) {
  mayspeak = Date.now() + PAUSE;
  const voice = place()?.querySelector("[role=status]");
  if (voice) voice.textContent = sentence;
}

connect();
tick();
setInterval(tick, 1000);

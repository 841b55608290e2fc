// Keeps the table and the job page live: applies what the stream tells, asks for the piece while there is none,
// and says which of the two it is.

import { morph } from "./live-morph.js";
import { listen } from "./live-source.js";

const EVERY = 3000;
const SELDOM = 30_000; // in a tab that nobody looks at, whose notifications still have to come
const WORDS = {
  start: "Connecting",
  live: "Live",
  polling: `Checking every ${EVERY / 1000} s`,
  lost: "No connection, trying again",
};
const NEW = 8000; // for how long a new row is marked
const ACTING = 3000;
const PACE = 2000; // between two looks of a table that only the portal can fill
const PAUSE = 4000; // between two sentences for screen readers

let link = "start";
let heard = Date.now(); // when the page was last known to show what the portal knows
let asked = Date.now();
let moved = 0; // when the pointer did last
let leftOver = false;

const place = () => document.getElementById("live");
const pieces = () => document.querySelectorAll("#job-table, #job");

function parse(html) {
  const holder = document.createElement("template");
  holder.innerHTML = html;
  return ours(holder.content.firstElementChild);
}

// What is rendered once for all has nobody's token; and another token for the same viewer is no change.
function ours(fresh) {
  const token = document.querySelector("#deed [name=csrfmiddlewaretoken]").value;
  for (const input of fresh.querySelectorAll("[name=csrfmiddlewaretoken]")) input.setAttribute("value", token);
  return fresh;
}

// The link ---------------------------------------------------------------------------------------------------

const heeds = { hello, row, progress, counts, mood, stale, down, beat() {} };

function hear(name, data) {
  if (name === "hello" || link === "live") heeds[name](data);
  if (link === "live") heard = Date.now();
  tick();
}

function hello() {
  if (link === "polling" || link === "lost") say("Live again.");
  link = "live";
  ask();
}

function down() {
  link = "polling";
  say(`The live link dropped. ${WORDS.polling}.`);
  ask();
}

function stale() {
  setTimeout(ask, Math.random() * 1000);
}

function connect() {
  if (!window.SharedWorker) return listen(hear);
  const { worker, person } = place().dataset;
  const { port } = new SharedWorker(worker, { type: "module", name: `live-${person}` });
  port.onmessage = ({ data: { name, data } }) => hear(name, data);
  window.addEventListener("pagehide", () => port.postMessage("bye"));
}

// What it tells ----------------------------------------------------------------------------------------------

function row({ id, html, ...job }) {
  askOfJob(id);
  if (!document.getElementById("job-table")) return;
  const fresh = parse(html);
  const shown = document.getElementById(fresh.id);
  if (shown) change(shown, fresh);
  else if (belongs(job)) insert(id, fresh);
}

// Only the percent moved on, so a row that is not shown stays out.
function progress({ id, html }) {
  askOfJob(id);
  const shown = document.getElementById(`job-${id}`);
  if (shown) change(shown, parse(html));
}

function change(shown, fresh) {
  const before = statusOf(shown);
  const { whole, added } = morph(shown, fresh);
  leftOver ||= !whole;
  refresh(shown, added);
  if (statusOf(shown) !== before) mention(shown);
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

// Whether a job comes in here. Of a search, a sort and the like only the portal knows.
function belongs({ owner, group, archived }) {
  const { state, mine, before, after, ...others } = Object.fromEntries(new URLSearchParams(location.search));
  if (before || after) return false;
  if (Object.values(others).some(Boolean)) return void askSoon();
  if (mine === "on" && String(owner) !== place().dataset.person) return false;
  return !archived && (!state || state === group);
}

// What someone points at or has the focus stays where it is when a row comes in above it.
function hold(deed) {
  const pointed = Date.now() - moved < ACTING && document.querySelector("#job-table tbody tr:hover");
  const held = pointed || document.activeElement.closest("#job-table tbody tr");
  const before = held?.getBoundingClientRect().top;
  deed();
  if (held) window.scrollBy(0, held.getBoundingClientRect().top - before);
}

function counts(data) {
  for (const tab of document.querySelectorAll("#job-table [data-filter]")) {
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

function ask() {
  asked = Date.now();
  for (const piece of pieces()) htmx.trigger(piece, "poll");
}

function askOfJob(id) {
  for (const piece of document.querySelectorAll(`#job[hx-get*="/jobs/${id}/"]`)) htmx.trigger(piece, "poll");
}

function askSoon() {
  clearTimeout(askSoon.timer);
  askSoon.timer = setTimeout(ask, Math.max(0, asked + PACE - Date.now()));
}

htmx.defineExtension("live", {
  handleSwap(style, target, fragment) {
    if (style !== "live") return false;
    const address = target.getAttribute("hx-get");
    const { whole, added } = morph(target, ours(fragment.querySelector(`#${target.id}`)));
    if (!whole) target.setAttribute("hx-get", address); // with the stamp of before: the next answer is whole again
    leftOver = !whole;
    htmx.process(target);
    return added;
  },
});

document.addEventListener("htmx:afterRequest", ({ detail: { elt, xhr } }) => {
  if (!elt.matches("#job-table, #job")) return;
  const isAnswered = xhr.status === 200 || xhr.status === 204;
  if (isAnswered) heard = Date.now();
  if (link === "polling" || link === "lost") link = isAnswered ? "polling" : "lost";
  tick();
});

function catchUp() {
  setTimeout(() => {
    if (leftOver && !document.querySelector("dialog[open]")) ask();
  });
}

document.addEventListener("focusout", catchUp);
document.addEventListener("close", catchUp, true); // of a dialog; it does not bubble
document.addEventListener("visibilitychange", tick);
document.addEventListener("pointermove", () => (moved = Date.now()), { passive: true });

// Words ------------------------------------------------------------------------------------------------------

function tick() {
  const late = Date.now() - asked >= (document.hidden ? SELDOM : EVERY);
  if (link === "start" && late) link = "polling";
  if (link !== "live" && late) ask();
  const words = place()?.querySelector("[data-live-words]");
  if (!words) return;
  const seconds = Math.round((Date.now() - heard) / 1000);
  const age = seconds < 2 ? "as of now" : `as of ${seconds < 120 ? `${seconds} s` : `${Math.round(seconds / 60)} min`} ago`;
  const text = link === "live" ? WORDS.live : `${WORDS[link]} · ${age}`;
  if (words.textContent !== text) words.textContent = text;
  place().dataset.link = link;
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
  const named = rows.slice(0, 2).map((shown) => `“${shown.querySelector("a").textContent}”: ${statusOf(shown)}.`);
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

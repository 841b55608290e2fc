// Says how fresh the page is, and announces changes to screen readers.

import { POLL_INTERVAL } from "./live-polling.js";

const MIN_PAUSE = 4000; // between two announcements
const MIN_DELAY = 1000; // in which changes are gathered into one announcement
const STEP = 10; // seconds in which the age of the provider's answer counts up
export const POLLING = `Checking every ${POLL_INTERVAL / 1000} s`;
const STATUS = {
  connecting: "Connecting",
  live: "Live",
  polling: POLLING,
  lost: "No connection, trying again",
};

const announcements = { changed: new Map(), timer: 0, earliest: 0 };

const liveElement = () => document.getElementById("live");

export function showStatus({ state, freshAt, answeredAt }) {
  const status = liveElement()?.querySelector("[data-live-text]");
  if (!status) return;
  const details = state === "live" ? answerAge(answeredAt) : [`as of ${ago(freshAt)}`];
  const text = [STATUS[state], ...details].join(" · ");
  if (status.textContent !== text) status.textContent = text;
  liveElement().dataset.link = state;
}

function ago(moment) {
  const seconds = Math.round((Date.now() - moment) / 1000);
  if (seconds < 2) return "now";
  return seconds < 120 ? `${seconds} s ago` : `${Math.round(seconds / 60)} min ago`;
}

// The stream is as fresh as it can be; what it carries is as old as the provider's last answer.
function answerAge(moment) {
  if (!moment) return [];
  const seconds = Math.floor((Date.now() - moment) / (1000 * STEP)) * STEP;
  return [`provider answered ${seconds ? ago(Date.now() - 1000 * seconds) : "just now"}`];
}

export const statusOf = (shown) => shown.querySelector(".badge")?.textContent.trim();

export function announceChange(shown) {
  announcements.changed.set(shown.id, shown);
  clearTimeout(announcements.timer);
  announcements.timer = setTimeout(announceChanges, Math.max(MIN_DELAY, announcements.earliest - Date.now()));
}

function announceChanges() {
  const rows = Array.from(announcements.changed.values());
  announcements.changed.clear();
  const sentences = rows.map((row) => `“${row.querySelector("a").textContent}”: ${statusOf(row)}.`);
  announce(rows.length > 2 ? `${rows.length} jobs changed.` : sentences.join(" "));
}

export function announce(sentence) {
  announcements.earliest = Date.now() + MIN_PAUSE;
  const region = liveElement()?.querySelector("[role=status]");
  if (region) region.textContent = sentence;
}

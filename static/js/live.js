// Keeps the jobs table and the job page live: applies the events of the stream, polls while there is no
// stream, and shows which of the two it does.

import { announce, POLLING, showStatus } from "./live-messages.js";
import { isPollDue, onPolled, poll, pollSkipped } from "./live-polling.js";
import { openStream } from "./live-stream.js";
import { showBanners, showCounts, showProgress, showRow } from "./live-table.js";

const MAX_SILENCE = 17_000; // the server sends a beat every five seconds; longer than live-stream.js waits
const MAX_JITTER = 1000; // so that not every page polls in the same moment

const link = {
  state: "connecting", // then "live", "polling" or "lost"
  freshAt: Date.now(), // when the page last showed all that the portal knew
  answeredAt: 0, // when the provider last answered the portal, as far as the page knows
};

const handlers = {
  hello: goLive,
  row: showRow,
  progress: showProgress,
  counts: showCounts,
  banners: showBanners,
  stale: () => setTimeout(poll, Math.random() * MAX_JITTER),
  beat: ({ age }) => {
    if (age !== undefined) link.answeredAt = Date.now() - 1000 * age;
  },
  down: goPolling,
};

function onEvent(name, data) {
  if (name !== "down") goLive();
  handlers[name](data);
  if (link.state === "live") link.freshAt = Date.now();
  tick();
}

function goLive() {
  if (link.state === "live") return;
  if (link.state !== "connecting") announce("Live again.");
  link.state = "live";
  poll();
}

function goPolling() {
  if (link.state === "polling" || link.state === "lost") return;
  link.state = "polling";
  announce(`The live link dropped. ${POLLING}.`);
  poll();
}

// Nothing where the browser has no shared workers, or refuses them to a page that may store nothing.
function sharedWorker() {
  const { workerUrl, person } = document.getElementById("live").dataset;
  try {
    return new SharedWorker(workerUrl, { type: "module", name: `live-${person}` });
  } catch {
    return null;
  }
}

function connect() {
  const worker = sharedWorker();
  let close = worker ? () => worker.port.postMessage("close") : openStream(onEvent);
  if (worker) {
    worker.port.onmessage = ({ data: { name, data } }) => onEvent(name, data);
    const openOwnStream = () => {
      close = openStream(onEvent);
    };
    worker.addEventListener("error", openOwnStream, { once: true });
  }
  window.addEventListener("pagehide", () => close(), { once: true });
}

// A page that the browser kept for "Back" shows what was true then.
window.addEventListener("pageshow", ({ persisted }) => {
  if (!persisted) return;
  link.state = "connecting";
  connect();
  poll();
});

onPolled((isAnswered) => {
  if (isAnswered) link.freshAt = Date.now();
  if (link.state === "polling" || link.state === "lost") link.state = isAnswered ? "polling" : "lost";
  tick();
});

function tick() {
  if (link.state === "live" && Date.now() - link.freshAt > MAX_SILENCE) goPolling();
  if (link.state !== "live" && isPollDue()) {
    if (link.state === "connecting") link.state = "polling";
    poll();
  }
  pollSkipped();
  showStatus(link);
  showTitle();
}

// The tab of a job's page says how far the job is, also while another tab is looked at.
function showTitle() {
  const title = document.querySelector("[data-title]")?.dataset.title;
  if (title && document.title !== title) document.title = title;
}

document.addEventListener("visibilitychange", tick);
connect();
tick();
setInterval(tick, 1000);

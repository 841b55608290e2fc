// Shows every <time data-time> in the viewer's own zone: "ago" in words, "clock" to the second; exact on hover.

const words = new Intl.RelativeTimeFormat("en", { numeric: "auto", style: "long" });
const exact = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "medium" });
const clock = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "medium" });
const day = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium" });
const STEPS = [[60, "second", 1], [3600, "minute", 60], [86400, "hour", 3600], [7 * 86400, "day", 86400]];

function ago(moment) {
  const seconds = (moment - Date.now()) / 1000;
  if (Math.abs(seconds) < 5) return "just now";
  const step = STEPS.find(([limit]) => Math.abs(seconds) < limit);
  return step ? words.format(Math.round(seconds / step[2]), step[1]) : day.format(moment);
}

function show(root) {
  for (const element of root.querySelectorAll("time[data-time]")) {
    const moment = new Date(element.dateTime);
    element.title = exact.format(moment);
    element.textContent = element.dataset.time === "ago" ? ago(moment) : clock.format(moment);
  }
}

show(document);
document.addEventListener("htmx:load", (event) => show(event.detail.elt.parentElement || document));
setInterval(() => show(document), 15000);

// Shows every <time data-time> in the viewer's own zone, exact on hover: "ago" in words, "clock" to the second,
// "hour" to the minute and without the day if that is today, "since" as the time that went by.

const words = new Intl.RelativeTimeFormat("en", { numeric: "auto", style: "long" });
const exact = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "medium" });
const hour = new Intl.DateTimeFormat("en-GB", { timeStyle: "short" });
const day = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium" });
const UNITS = [
  ["d", 86400],
  ["h", 3600],
  ["min", 60],
  ["s", 1],
];
const STEPS = [
  [60, "second", 1],
  [3600, "minute", 60],
  [86400, "hour", 3600],
  [7 * 86400, "day", 86400],
];

function ago(moment) {
  const seconds = (moment - Date.now()) / 1000;
  if (Math.abs(seconds) < 5) return "just now";
  const step = STEPS.find(([limit]) => Math.abs(seconds) < limit);
  return step ? words.format(Math.round(seconds / step[2]), step[1]) : day.format(moment);
}

function soon(moment) {
  const isToday = day.format(moment) === day.format(Date.now());
  return isToday ? hour.format(moment) : `${day.format(moment)}, ${hour.format(moment)}`;
}

// As the server says durations: its two largest units.
function since(moment) {
  let seconds = Math.max(0, Math.round((Date.now() - moment) / 1000));
  const words = [];
  for (const [unit, length] of UNITS) {
    const count = Math.floor(seconds / length);
    seconds %= length;
    if (count || (unit === "s" && !words.length)) words.push(`${count} ${unit}`);
    else if (words.length) break;
  }
  return words.slice(0, 2).join(" ");
}

const FORMS = { ago, clock: (moment) => exact.format(moment), hour: soon, since };

function show(root, form = "") {
  for (const element of root.querySelectorAll(`time[data-time${form && `="${form}"`}]`)) {
    const moment = new Date(element.dateTime);
    element.title = exact.format(moment);
    element.textContent = FORMS[element.dataset.time](moment);
  }
}

show(document);
document.addEventListener("htmx:load", (event) => show(event.detail.elt.parentElement || document));
setInterval(() => show(document), 15_000);
setInterval(() => show(document, "since"), 1000);

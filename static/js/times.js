// Shows every <time data-time> in the viewer's own time zone, exact on hover: "ago" in words, "clock" to the
// second, "hour" to the minute and without the day if that is today, "day" without the time, "since" as the
// time elapsed; a day of this year has no year. An option holds no element: the last part of its text is the
// time, and data-datetime the moment.

const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto", style: "long" });
const exact = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "medium" });
const hour = new Intl.DateTimeFormat("en-GB", { timeStyle: "short" });
const day = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium" });
const minute = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "short" });
const dayOfThisYear = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });
const SEPARATOR = " · ";
const UNITS = [
  ["d", 86400],
  ["h", 3600],
  ["min", 60],
  ["s", 1],
];
const STEPS = [
  [3600, "minute", 60],
  [86400, "hour", 3600],
  [7 * 86400, "day", 86400],
];

function dayOf(moment) {
  const isThisYear = moment.getFullYear() === new Date().getFullYear();
  return (isThisYear ? dayOfThisYear : day).format(moment);
}

function ago(moment) {
  const seconds = (moment - Date.now()) / 1000;
  if (Math.abs(seconds) < 60) return seconds > 5 ? "in a moment" : "just now";
  const step = STEPS.find(([limit]) => Math.abs(seconds) < limit);
  return step ? relative.format(Math.trunc(seconds / step[2]), step[1]) : dayOf(moment);
}

function hourOrDay(moment) {
  const isToday = day.format(moment) === day.format(Date.now());
  return isToday ? hour.format(moment) : `${dayOf(moment)}, ${hour.format(moment)}`;
}

// In the two largest units, as the server formats durations.
function since(moment) {
  let seconds = Math.max(0, Math.round((Date.now() - moment) / 1000));
  const parts = [];
  for (const [unit, length] of UNITS) {
    const count = Math.floor(seconds / length);
    seconds %= length;
    if (count || (unit === "s" && !parts.length)) parts.push(`${count} ${unit}`);
    else if (parts.length) break;
  }
  return parts.slice(0, 2).join(" ");
}

const FORMATS = {
  ago,
  clock: (moment) => exact.format(moment),
  day: dayOf,
  hour: hourOrDay,
  since,
};

function show(root, format = "") {
  for (const element of root.querySelectorAll(`time[data-time${format && `="${format}"`}]`)) {
    const moment = new Date(element.dateTime);
    element.title = exact.format(moment);
    element.textContent = (FORMATS[element.dataset.time] || FORMATS.clock)(moment);
  }
}

function showInOptions(root) {
  for (const option of root.querySelectorAll("option[data-datetime]")) {
    const parts = option.text.split(SEPARATOR).slice(0, -1);
    option.text = [...parts, minute.format(new Date(option.dataset.datetime))].join(SEPARATOR);
  }
}

function showAll(root) {
  show(root);
  showInOptions(root);
}

showAll(document);
document.addEventListener("htmx:load", (event) => showAll(event.detail.elt.parentElement || document));
setInterval(() => show(document), 15_000);
setInterval(() => show(document, "since"), 1000);

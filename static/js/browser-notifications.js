// Browser notifications: a hidden page notifies when the badge of a job turns to a state that matters. What
// this browser wants is in localStorage: "mine", "all", or nothing.

const KEY = "notify";
const EVENTS = {
  ready: "is ready",
  failed: "failed",
  refused: "was refused",
  cancelled: "was cancelled",
  needs_decision: "needs a decision",
  approval: "waits for an approval",
};
const lastStates = new Map(); // by the address of the job

function support() {
  if (!window.isSecureContext) return "insecure";
  if (!("Notification" in window)) return "unsupported";
  return Notification.permission === "denied" ? "denied" : "open";
}

function wantedScope() {
  const isGranted = support() === "open" && Notification.permission === "granted";
  return isGranted ? localStorage.getItem(KEY) : null;
}

function notify({ job, name, owner, state }) {
  const user = document.querySelector("[data-person]")?.dataset.person;
  const scope = wantedScope();
  if (!document.hidden || !(scope === "all" || (scope === "mine" && owner === user))) return;
  const notification = new Notification(`“${name}” ${EVENTS[state]}`, { tag: job });
  notification.addEventListener("click", () => {
    window.focus();
    location.assign(job);
  });
}

function noteState({ job, name, owner, state, cancelled }) {
  const shown = cancelled === undefined ? state : "cancelled";
  const before = lastStates.get(job);
  lastStates.set(job, shown);
  if (before && before !== shown && shown in EVENTS) notify({ job, name, owner, state: shown });
}

function noteBadges() {
  for (const { dataset } of document.querySelectorAll(".badge[data-job]")) noteState(dataset);
}

// The card on the notifications page.
function showSwitches() {
  for (const part of document.querySelectorAll("[data-notify-when]")) {
    part.hidden = part.dataset.notifyWhen !== support();
  }
  for (const button of document.querySelectorAll("[data-notify-switch]")) {
    const isForAll = button.dataset.notifySwitch === "all";
    const isOn = isForAll ? wantedScope() === "all" : Boolean(wantedScope());
    button.setAttribute("aria-checked", String(isOn));
    if (isForAll) button.disabled = !wantedScope();
  }
}

async function toggle(button) {
  const turnOn = button.getAttribute("aria-checked") !== "true";
  if (turnOn && Notification.permission !== "granted") await Notification.requestPermission();
  const scope = button.dataset.notifySwitch === "all" ? (turnOn ? "all" : "mine") : turnOn ? "mine" : null;
  if (scope) localStorage.setItem(KEY, scope);
  else localStorage.removeItem(KEY);
  showSwitches();
}

noteBadges();
showSwitches();
new MutationObserver(noteBadges).observe(document.body, {
  childList: true,
  subtree: true,
  attributes: true,
  attributeFilter: ["data-state"],
});
// Of jobs that the page does not show, too.
document.addEventListener("portal:job", ({ detail }) => noteState(detail));
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-notify-switch]");
  if (button) toggle(button);
});

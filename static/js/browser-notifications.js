// Browser notifications: a page that nobody looks at tells when a training's badge turns to news.
// What this browser wants is in localStorage: "mine", "all", or nothing.

const KEY = "notify";
const NEWS = {
  ready: "is ready",
  failed: "did not work out",
  refused: "did not work out",
  needs_decision: "needs a decision",
};
const seen = new Map();

function situation() {
  if (!window.isSecureContext) return "insecure";
  if (!("Notification" in window)) return "unsupported";
  return Notification.permission === "denied" ? "denied" : "open";
}

function wanted() {
  const granted = situation() === "open" && Notification.permission === "granted";
  return granted ? localStorage.getItem(KEY) : null;
}

function tell({ job, name, owner, state }) {
  const me = document.querySelector("[data-person]")?.dataset.person;
  const scope = wanted();
  if (!document.hidden || !(scope === "all" || (scope === "mine" && owner === me))) return;
  const message = new Notification(`“${name}” ${NEWS[state]}`, { tag: job });
  message.addEventListener("click", () => {
    window.focus();
    location.assign(job);
  });
}

function note(badge) {
  const before = seen.get(badge.job);
  seen.set(badge.job, badge.state);
  if (before && before !== badge.state && badge.state in NEWS) tell(badge);
}

function look() {
  for (const { dataset } of document.querySelectorAll(".badge[data-job]")) note(dataset);
}

// The card on the notifications page.
function show() {
  for (const part of document.querySelectorAll("[data-notify-when]")) {
    part.hidden = part.dataset.notifyWhen !== situation();
  }
  for (const button of document.querySelectorAll("[data-notify-switch]")) {
    const on = button.dataset.notifySwitch === "all" ? wanted() === "all" : Boolean(wanted());
    button.setAttribute("aria-checked", String(on));
    if (button.dataset.notifySwitch === "all") button.disabled = !wanted();
  }
}

async function flip(button) {
  const turnOn = button.getAttribute("aria-checked") !== "true";
  if (turnOn && Notification.permission !== "granted") await Notification.requestPermission();
  const scope = button.dataset.notifySwitch === "all" ? (turnOn ? "all" : "mine") : turnOn ? "mine" : null;
  if (scope) localStorage.setItem(KEY, scope);
  else localStorage.removeItem(KEY);
  show();
}

look();
show();
new MutationObserver(look).observe(document.body, {
  childList: true,
  subtree: true,
  attributes: true,
  attributeFilter: ["data-state"],
});
document.addEventListener("portal:job", ({ detail }) => note(detail)); // live.js heard of it, shown here or not
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-notify-switch]");
  if (button) flip(button);
});

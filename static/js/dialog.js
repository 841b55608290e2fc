// Asks before a form with data-confirm is sent, in the portal's own dialog; and lets messages fade.

const dialog = document.getElementById("confirm");

async function ask(form) {
  const set = (selector, text) => {
    dialog.querySelector(selector).textContent = text;
  };
  set("#confirm-title", form.dataset.confirmTitle || "Are you sure?");
  set("[data-confirm-text]", form.dataset.confirm);
  set("[data-confirm-button]", form.dataset.confirmYes || "Yes");
  set("[value=no]", form.dataset.confirmNo || "Cancel");
  dialog.returnValue = "no";
  dialog.showModal();
  await new Promise((done) => dialog.addEventListener("close", done, { once: true }));
  return dialog.returnValue === "yes";
}

document.addEventListener("htmx:confirm", async (event) => {
  if (!event.target.dataset?.confirm) return;
  event.preventDefault();
  if (await ask(event.target)) event.detail.issueRequest(true);
});

document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (!form.dataset.confirm || form.hasAttribute("hx-post")) return;
  event.preventDefault();
  if (await ask(form)) HTMLFormElement.prototype.submit.call(form);
});

function fade() {
  for (const message of document.querySelectorAll("[data-message]:not(.error)")) {
    setTimeout(() => message.remove(), message.classList.contains("undo") ? 20_000 : 6000);
  }
}

fade();
document.addEventListener("htmx:oobAfterSwap", fade);

// An open menu closes on Escape and on a click elsewhere.
document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (!menu.contains(event.target)) menu.open = false;
  }
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    menu.open = false;
    menu.querySelector("summary").focus();
  }
});

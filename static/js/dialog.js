// Asks before a form with data-confirm is sent, in the portal's own dialog; removes messages after a while;
// closes menus.

const SHOWN = 6000;
const UNDO_SHOWN = 20_000;

const dialog = document.getElementById("confirm");

export async function isConfirmed(form) {
  const setText = (selector, text) => {
    dialog.querySelector(selector).textContent = text;
  };
  setText("#confirm-title", form.dataset.confirmTitle || "Are you sure?");
  setText("[data-confirm-text]", form.dataset.confirm);
  setText("[data-confirm-button]", form.dataset.confirmYes || "Yes");
  setText("[value=no]", form.dataset.confirmNo || "Cancel");
  dialog.returnValue = "no";
  dialog.showModal();
  await new Promise((resolve) => dialog.addEventListener("close", resolve, { once: true }));
  return dialog.returnValue === "yes";
}

// Forms of htmx; forms.js asks for the others.
document.addEventListener("htmx:confirm", async (event) => {
  if (!event.target.dataset?.confirm) return;
  event.preventDefault();
  if (await isConfirmed(event.target)) event.detail.issueRequest(true);
});

function removeMessages() {
  for (const message of document.querySelectorAll("[data-message]:not(.error)")) {
    setTimeout(() => message.remove(), message.classList.contains("undo") ? UNDO_SHOWN : SHOWN);
  }
}

removeMessages();
document.addEventListener("htmx:oobAfterSwap", removeMessages);

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

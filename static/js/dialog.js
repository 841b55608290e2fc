// Asks a form's question before it is sent, in the portal's own dialog; removes messages after a while; closes
// menus. Without this script the server asks (web/confirmation.py).

const SHOWN = 6000;
const UNDO_SHOWN = 20_000;

const dialog = document.getElementById("confirm");

const fieldOf = (form, name) => form.querySelector(`[name="${name}"]`)?.value;

export const hasQuestion = (form) => fieldOf(form, "question") !== undefined;

export async function isConfirmed(form) {
  const setText = (selector, text) => {
    dialog.querySelector(selector).textContent = text;
  };
  setText("#confirm-title", fieldOf(form, "question_title"));
  setText("[data-confirm-text]", fieldOf(form, "question"));
  setText("[data-confirm-button]", fieldOf(form, "question_yes"));
  setText("[value=no]", fieldOf(form, "question_no") ?? "Cancel");
  const isDangerous = form.querySelector("button.danger") !== null;
  dialog.querySelector("[data-confirm-button]").classList.toggle("danger", isDangerous);
  dialog.returnValue = "no";
  dialog.showModal();
  await new Promise((resolve) => dialog.addEventListener("close", resolve, { once: true }));
  return dialog.returnValue === "yes";
}

// Forms of htmx; forms.js asks for the others.
document.addEventListener("htmx:confirm", async (event) => {
  const form = event.target;
  if (!form.matches("form") || !hasQuestion(form)) return;
  event.preventDefault();
  if (await isConfirmed(form)) event.detail.issueRequest(true);
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

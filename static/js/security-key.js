// Security keys (WebAuthn): shows the forms that need one, asks the browser for it, and posts the credential.

import { sendForm } from "./forms.js";

const ERRORS = {
  NotAllowedError: "No key answered. Try again, and touch the key when your browser asks for it.",
  InvalidStateError: "This key is on your list already.",
  SecurityError: "Keys do not work at this address. Open the portal by its https name.",
};

async function credentialFor(form) {
  const { publicKey } = JSON.parse(form.querySelector("script[type='application/json']").textContent);
  if (form.dataset.ceremony === "create") {
    const options = PublicKeyCredential.parseCreationOptionsFromJSON(publicKey);
    return navigator.credentials.create({ publicKey: options });
  }
  const options = PublicKeyCredential.parseRequestOptionsFromJSON(publicKey);
  return navigator.credentials.get({ publicKey: options });
}

async function onSubmit(event) {
  event.preventDefault();
  const form = event.currentTarget;
  const message = form.querySelector("[data-security-key-error]");
  message.textContent = "";
  try {
    form.elements.credential.value = JSON.stringify(await credentialFor(form));
    await sendForm(form);
  } catch (error) {
    message.textContent = ERRORS[error.name] || `The browser said: ${error.message}`;
  }
}

const isIPAddress = /^[\d.]+$|^\[/.test(location.hostname);
const isSupported =
  window.isSecureContext && !isIPAddress && window.PublicKeyCredential?.parseCreationOptionsFromJSON;

function bindAll() {
  if (!isSupported) return;
  for (const form of document.querySelectorAll("form[data-ceremony][hidden]")) {
    form.hidden = false;
    form.addEventListener("submit", onSubmit);
  }
  document.querySelector("[data-security-key-unsupported]")?.remove();
}

document.addEventListener("htmx:load", bindAll);
bindAll();

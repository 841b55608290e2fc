// Security keys (WebAuthn): shows the forms that need one, asks the browser, and sends what it answers.

const forms = document.querySelectorAll("form[data-ceremony]");
const TROUBLES = {
  NotAllowedError: "Nothing came. Try again, and touch the key when your browser asks for it.",
  InvalidStateError: "This key is on your list already.",
  SecurityError: "Keys do not work at this address. Open the portal by its https name.",
};

async function answerOf(form) {
  const told = JSON.parse(form.querySelector("script[type='application/json']").textContent).publicKey;
  if (form.dataset.ceremony === "create") {
    return navigator.credentials.create({
      publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(told),
    });
  }
  return navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(told) });
}

async function ask(event) {
  event.preventDefault();
  const form = event.currentTarget;
  const trouble = form.querySelector("[data-security-key-error]");
  trouble.textContent = "";
  try {
    form.elements.credential.value = JSON.stringify(await answerOf(form));
    HTMLFormElement.prototype.submit.call(form);
  } catch (error) {
    trouble.textContent = TROUBLES[error.name] || `The browser said: ${error.message}`;
  }
}

const isNumber = /^[\d.]+$|^\[/.test(location.hostname);
if (window.isSecureContext && !isNumber && window.PublicKeyCredential?.parseCreationOptionsFromJSON) {
  for (const form of forms) {
    form.hidden = false;
    form.addEventListener("submit", ask);
  }
  document.querySelector("[data-security-key-unsupported]")?.remove();
}

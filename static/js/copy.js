// Copies a snippet by the button beside it. Over plain http a browser has no clipboard for scripts, and elsewhere
// it may refuse: then the text is selected, and the button says which keys copy it.

const FEEDBACK = 2000;
const KEYS_SHOWN = 10_000;
const LABEL = " Copy";
const KEYS = /Mac|iPhone|iPad/.test(navigator.userAgent) ? "⌘C" : "Ctrl+C";

const timers = new WeakMap(); // by button

function say(button, text, milliseconds) {
  clearTimeout(timers.get(button));
  button.lastChild.textContent = ` ${text}`;
  const restore = () => {
    button.lastChild.textContent = LABEL;
  };
  timers.set(button, setTimeout(restore, milliseconds));
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const code = button.parentElement.querySelector("code");
  try {
    await navigator.clipboard.writeText(code.textContent);
    say(button, "Copied", FEEDBACK);
  } catch {
    getSelection().selectAllChildren(code);
    say(button, `Press ${KEYS}`, KEYS_SHOWN);
  }
});

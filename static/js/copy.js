// Copies a snippet by the button beside it.

const FEEDBACK = 2000;

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  await navigator.clipboard.writeText(button.parentElement.querySelector("code").textContent);
  const label = button.lastChild.textContent;
  button.lastChild.textContent = " Copied";
  setTimeout(() => {
    button.lastChild.textContent = label;
  }, FEEDBACK);
});

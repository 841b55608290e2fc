// Copy buttons beside a snippet.

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const text = button.parentElement.querySelector("code").textContent;
  await navigator.clipboard.writeText(text);
  const before = button.lastChild.textContent;
  button.lastChild.textContent = " Copied";
  setTimeout(() => {
    button.lastChild.textContent = before;
  }, 2000);
});

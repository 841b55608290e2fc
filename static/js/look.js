// Shows the page light, dark, or as the system has it, at once; the form of the menu keeps it for the next pages.

document.addEventListener("click", ({ target }) => {
  const chosen = target.closest("button[name=look]");
  if (!chosen) return;
  document.documentElement.dataset.look = chosen.value;
  for (const button of chosen.form.elements.look) button.ariaPressed = String(button === chosen);
});

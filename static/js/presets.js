// The preset buttons fill in learning rate and steps; the one that fits what is typed is marked.

function numbers(form) {
  return [form.elements.learning_rate, form.elements.steps];
}

function mark(form) {
  const [rate, steps] = numbers(form);
  for (const preset of form.querySelectorAll("[data-preset]")) {
    const fits =
      Number(rate.value) === Number(preset.dataset.learningRate) &&
      Number(steps.value) === Number(preset.dataset.steps);
    preset.setAttribute("aria-pressed", String(fits));
  }
}

function markAll() {
  for (const preset of document.querySelectorAll("[data-preset]:first-child")) mark(preset.form);
}

document.addEventListener("click", (event) => {
  const preset = event.target.closest("[data-preset]");
  if (!preset) return;
  const [rate, steps] = numbers(preset.form);
  rate.value = preset.dataset.learningRate;
  steps.value = preset.dataset.steps;
  mark(preset.form);
});
document.addEventListener("input", (event) => {
  if (event.target.form?.querySelector("[data-preset]")) mark(event.target.form);
});
document.addEventListener("htmx:load", markAll);
markAll();

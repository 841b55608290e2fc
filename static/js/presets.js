// The preset buttons fill in learning rate and steps; the one whose values the form has is marked.

function inputsOf(form) {
  return [form.elements.learning_rate, form.elements.steps];
}

function mark(form) {
  const [rate, steps] = inputsOf(form);
  for (const preset of form.querySelectorAll("[data-preset]")) {
    const isMatch =
      Number(rate.value.replace(",", ".")) === Number(preset.dataset.learningRate) &&
      Number(steps.value) === Number(preset.dataset.steps);
    preset.setAttribute("aria-pressed", String(isMatch));
  }
}

function markAll() {
  for (const preset of document.querySelectorAll("[data-preset]:first-child")) mark(preset.form);
}

document.addEventListener("click", (event) => {
  const preset = event.target.closest("[data-preset]");
  if (!preset) return;
  const [rate, steps] = inputsOf(preset.form);
  rate.value = preset.dataset.learningRate;
  steps.value = preset.dataset.steps;
  mark(preset.form);
});
document.addEventListener("input", (event) => {
  if (event.target.form?.querySelector("[data-preset]")) mark(event.target.form);
});
document.addEventListener("htmx:load", markAll);
markAll();

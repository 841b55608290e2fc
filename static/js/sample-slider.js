// Leads through the samples of a job by step, and follows the newest one while the slider is at its end.

const slider = { isAtEnd: true };

function show() {
  const input = document.getElementById("sample-step");
  const items = document.querySelectorAll("[data-samples] > li");
  if (!input || !items.length) return;
  input.max = items.length - 1;
  if (slider.isAtEnd) input.value = input.max;
  const shown = items[input.value];
  for (const item of items) item.toggleAttribute("data-shown", item === shown);
  input.setAttribute("aria-valuetext", shown.querySelector("figcaption").textContent);
}

document.addEventListener("input", ({ target }) => {
  if (target.id !== "sample-step") return;
  slider.isAtEnd = target.value === target.max;
  show();
});

show();
document.addEventListener("htmx:afterSwap", show);

// The before/after slider, also in what htmx loads later; j and k lead to the next and the previous pair.

function enhance(figure) {
  if (figure.classList.contains("is-enhanced")) return;
  const slider = figure.querySelector("input[type=range]");
  const update = () => figure.style.setProperty("--position", `${slider.value}%`);
  slider.hidden = false;
  slider.addEventListener("input", update);
  update();
  figure.classList.add("is-enhanced");
}

function enhanceAll(root) {
  root.querySelectorAll("[data-before-after]").forEach(enhance);
}

enhanceAll(document);
document.addEventListener("htmx:load", ({ target }) => enhanceAll(target));

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.matches("textarea, input:not([type=range])")) return;
  const rel = { j: "next", k: "prev" }[event.key];
  document.querySelector(`a[rel=${rel}]`)?.click();
});

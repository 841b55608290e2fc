// The before/after slider, also of what comes in later; and the keys that lead to the previous and the next pair.

function start(figure) {
  if (figure.classList.contains("is-enhanced")) return;
  const slider = figure.querySelector("input[type=range]");
  const show = () => figure.style.setProperty("--position", `${slider.value}%`);
  slider.hidden = false;
  slider.addEventListener("input", show);
  show();
  figure.classList.add("is-enhanced");
}

function look(place) {
  for (const figure of place.querySelectorAll("[data-before-after]")) start(figure);
}

look(document);
document.addEventListener("htmx:load", ({ target }) => look(target));

document.addEventListener("keydown", (event) => {
  if (
    event.ctrlKey ||
    event.metaKey ||
    event.altKey ||
    event.target.matches("textarea, input:not([type=range])")
  )
    return;
  const rel = { j: "next", k: "prev" }[event.key];
  document.querySelector(`a[rel=${rel}]`)?.click();
});

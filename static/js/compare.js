// The before/after slider of a pair, and the keys that lead to the previous and the next pair.

for (const figure of document.querySelectorAll("[data-compare]")) {
  const slider = figure.querySelector("input[type=range]");
  const show = () => figure.style.setProperty("--at", `${slider.value}%`);
  slider.hidden = false;
  slider.addEventListener("input", show);
  show();
  figure.classList.add("is-live");
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("textarea, input:not([type=range])")) return;
  const rel = { j: "next", k: "prev" }[event.key];
  document.querySelector(`a[rel=${rel}]`)?.click();
});

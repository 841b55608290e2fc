// The form of the playground: shows the chosen picture large, takes its caption as prompt, and links the
// strength slider to its number field.

function showSliders(root) {
  for (const slider of root.querySelectorAll("[data-range-for]")) {
    slider.hidden = false;
    follow(slider, document.getElementById(slider.dataset.rangeFor));
  }
}

showSliders(document);
document.addEventListener("htmx:load", ({ target }) => showSliders(target));

document.addEventListener("input", ({ target }) => {
  if (target.dataset.rangeFor) document.getElementById(target.dataset.rangeFor).value = target.value;
  const slider = document.querySelector(`[data-range-for="${target.id}"]`);
  if (slider) follow(slider, target);
});

// A slider has no other place for what is no number; the portal asks about that.
function follow(slider, input) {
  const number = input.value.trim().replace(",", ".");
  if (number && Number.isFinite(Number(number))) slider.value = number;
}

document.addEventListener("change", ({ target }) => {
  const form = target.closest(".playground-form");
  if (form && target.name === "picture") choosePicture(form, target);
  if (form && target.name === "file") chooseFile(form, target);
});

function choosePicture(form, radio) {
  form.elements.file.value = "";
  showThumbnail(form, "");
  showLarge(radio.dataset.largeUrl, radio.nextElementSibling.alt, "largePending" in radio.dataset);
  const captions = Array.from(form.querySelectorAll("[data-prompt]"), ({ dataset }) => dataset.prompt);
  const { prompt } = form.elements;
  const isUntouched = !prompt.value || captions.includes(prompt.value);
  if (radio.dataset.prompt && isUntouched) prompt.value = radio.dataset.prompt;
}

function chooseFile(form, input) {
  const [file] = input.files;
  const url = file ? URL.createObjectURL(file) : "";
  showThumbnail(form, url);
  if (!file) return;
  for (const radio of form.querySelectorAll("[name=picture]")) radio.checked = false;
  showLarge(url, file.name);
}

// The uploaded picture, among those of the dataset.
function showThumbnail(form, url) {
  const thumbnail = form.querySelector(".thumb.uploaded");
  thumbnail.querySelector("img")?.remove();
  if (!url) return;
  const image = new Image();
  image.src = url;
  image.alt = "Your own picture";
  thumbnail.append(image);
}

function showLarge(url, name, isPending = false) {
  const image = document.getElementById("playground-image");
  if (!image) return;
  image.toggleAttribute("data-pending", isPending); // previews.js waits for it
  image.src = isPending ? `${url}?pending` : url;
  image.alt = name;
}

// A picture that is dropped anywhere on the page is one's own; the browser would leave the page to show it.
for (const type of ["dragover", "drop"]) {
  window.addEventListener(type, (event) => {
    const input = document.querySelector(".playground-form [name=file]");
    if (!input || !event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    if (type === "drop") takeFile(input, event.dataTransfer.files);
  });
}

function takeFile(input, [file]) {
  if (!file) return;
  const chosen = new DataTransfer();
  chosen.items.add(file);
  input.files = chosen.files;
  input.dispatchEvent(new Event("change", { bubbles: true }));
}

// The form of a run: the chosen picture large, its caption as instruction, and the strength by a dial.

function look(place) {
  for (const dial of place.querySelectorAll("[data-range-for]")) {
    dial.hidden = false;
    dial.value = document.getElementById(dial.dataset.rangeFor).value;
  }
}

look(document);
document.addEventListener("htmx:load", ({ target }) => look(target));

document.addEventListener("input", ({ target }) => {
  if (target.dataset.rangeFor) document.getElementById(target.dataset.rangeFor).value = target.value;
  const dial = document.querySelector(`[data-range-for="${target.id}"]`);
  if (dial) dial.value = target.value;
});

document.addEventListener("change", ({ target }) => {
  const form = target.closest(".playground-form");
  if (form && target.name === "picture") choose(form, target);
  if (form && target.name === "file") bring(form, target);
});

function choose(form, radio) {
  form.elements.file.value = "";
  own(form, "");
  show(radio.dataset.largeUrl, radio.nextElementSibling.alt);
  const captions = Array.from(form.querySelectorAll("[data-prompt]"), (each) => each.dataset.prompt);
  const { prompt } = form.elements;
  if (radio.dataset.prompt && (!prompt.value || captions.includes(prompt.value)))
    prompt.value = radio.dataset.prompt;
}

function bring(form, input) {
  const [file] = input.files;
  const address = file ? URL.createObjectURL(file) : "";
  own(form, address);
  if (!file) return;
  for (const radio of form.querySelectorAll("[name=picture]")) radio.checked = false;
  show(address, file.name);
}

// The picture that was brought, in its place among the others.
function own(form, address) {
  const place = form.querySelector(".thumb.uploaded");
  place.querySelector("img")?.remove();
  if (!address) return;
  const image = new Image();
  image.src = address;
  image.alt = "Your own picture";
  place.append(image);
}

function show(address, name) {
  const large = document.getElementById("playground-image");
  if (!large) return;
  large.src = address;
  large.alt = name;
}

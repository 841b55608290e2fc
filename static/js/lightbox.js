// Opens the pictures of a section large, one after the other: links with data-lightbox, the address of a picture,
// and maybe data-before, that of the picture before. Without this script the links open what they name.
// before-after.js moves the slider.

const dialog = document.getElementById("lightbox");
const [after, before] = dialog.querySelectorAll("img");
const slider = dialog.querySelector("input");
const open = { links: [], at: 0 };
const wanted = new Map(); // the address that each image is to show

function show(at) {
  const { links } = open;
  open.at = (at + links.length) % links.length;
  const link = links[open.at];
  const alts = Array.from(link.querySelectorAll("img"), (image) => image.alt);
  after.alt = alts.at(-1);
  before.alt = alts.length > 1 ? alts[0] : "Before";
  before.hidden = !link.dataset.before;
  slider.hidden = before.hidden;
  load(after, link.dataset.lightbox);
  load(before, link.dataset.before);
  const caption = link.closest("figure, li")?.querySelector("figcaption, p")?.textContent.trim();
  dialog.querySelector("[data-caption]").textContent = caption ?? "";
  dialog.querySelector("[data-count]").textContent = `${open.at + 1} of ${links.length}`;
  dialog.querySelector("[data-open]").href = link.href;
  for (const element of dialog.querySelectorAll("[data-step], [data-count]"))
    element.hidden = links.length < 2;
}

// A preview may not be made yet: previews.js then waits for it.
async function load(image, url = "") {
  image.removeAttribute("src");
  delete image.dataset.pending;
  wanted.set(image, url);
  if (!url) return;
  const status = await fetch(url).then(
    (response) => response.status,
    () => 0,
  );
  if (wanted.get(image) !== url) return; // another is shown by now
  if (status === 202) image.dataset.pending = "";
  image.src = status === 202 ? `${url}?pending` : url;
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-lightbox]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  open.links = Array.from(link.closest("section, main").querySelectorAll("a[data-lightbox]"));
  show(open.links.indexOf(link));
  dialog.showModal();
});

dialog.addEventListener("click", ({ target }) => {
  if (target === dialog) dialog.close(); // beside the picture
  const step = target.closest("[data-step]")?.dataset.step;
  if (step) show(open.at + Number(step));
});

dialog.addEventListener("keydown", ({ key, target }) => {
  const step = { ArrowLeft: -1, ArrowRight: 1 }[key];
  if (step && target !== slider) show(open.at + step);
});

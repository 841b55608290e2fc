// Shows a preview as soon as the worker has made it. Until then its image is marked data-pending and shows a
// placeholder, at an address that differs by its query only.

const SHORTEST = 500; // milliseconds between two looks
const LONGEST = 5000;
const SETTLED = "preview-settled";
const AT_ONCE = 4; // that are not made yet: the worker makes them in the order of the page

const waiting = new Map(); // images by the address of their preview
let pause = SHORTEST;
let isLooking = false;

const isShown = (image) => image.complete && image.naturalWidth > 0;

function wait(image) {
  const url = image.src.replace(/\?pending$/, "");
  waiting.set(url, (waiting.get(url) ?? new Set()).add(image));
  if (!isLooking) lookLater();
}

function lookLater() {
  isLooking = true;
  setTimeout(look, pause);
}

async function look() {
  let unmade = 0;
  for (const [url, images] of [...waiting]) {
    if (unmade === AT_ONCE) break;
    for (const image of images) if (!isWaitingFor(image, url)) images.delete(image);
    const isMade = images.size > 0 && (await isSettled(url));
    waiting.delete(url);
    if (isMade) {
      for (const image of images) show(image, url);
      pause = SHORTEST;
    } else if (images.size) {
      waiting.set(url, images); // behind the others
      unmade += 1;
    }
  }
  isLooking = false;
  if (waiting.size) lookLater();
  pause = waiting.size ? Math.min(LONGEST, pause * 1.3) : SHORTEST;
}

const isWaitingFor = (image, url) =>
  image.isConnected && "pending" in image.dataset && image.src === `${url}?pending`;

// Made, or found to be impossible. The picture is then in the browser's cache.
async function isSettled(url) {
  try {
    const { status } = await fetch(url, { redirect: "manual" });
    return status === 200 || status === 404;
  } catch {
    return false;
  }
}

function show(image, url) {
  delete image.dataset.pending;
  image.src = url;
  image.dispatchEvent(new Event(SETTLED));
}

// Resolves when the image no longer shows a placeholder.
export function settled(image) {
  if (!("pending" in image.dataset)) return Promise.resolve();
  return new Promise((resolve) => image.addEventListener(SETTLED, resolve, { once: true }));
}

document.addEventListener(
  "load",
  ({ target }) => target.matches?.("img[data-pending]") && wait(target),
  true,
);
for (const image of document.querySelectorAll("img[data-pending]")) if (isShown(image)) wait(image);

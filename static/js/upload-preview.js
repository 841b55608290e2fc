// Shows what the browser found in the chosen files: [data-preview], until the server's verdict replaces it.

import { readCaption } from "./captions.js";

const SHOWN = 12;
const MOST_SENTENCES = 6;
const SWAPPED = "Before and after are swapped.";

export function show(place, found) {
  place.hidden = false;
  const pairs = found.pairs.slice(0, SHOWN);
  place.querySelector("[data-preview-count]").textContent = countOf(found);
  place.querySelector("[data-preview-pairs]").replaceChildren(...pairs.map((pair) => tile(place, pair)));
  const more = found.pairs.length - pairs.length;
  const rest = more ? `and ${more} more ${more === 1 ? "pair" : "pairs"}` : "";
  place.querySelector("[data-preview-more]").textContent = rest;
  showSentences(place, found);
}

export function showSentences(place, { note, problems, warnings }) {
  const lines = [
    ...(note ? [line(place, "note", note)] : []),
    ...shortened(problems).map((sentence) => line(place, "bad", sentence)),
    ...shortened(warnings).map((sentence) => line(place, "warn", sentence)),
  ];
  place.querySelector("[data-preview-findings]").replaceChildren(...lines);
}

// Offers to pack another tool's layout anew; resolves once the person says that before and after are right.
export function agreed(place, found) {
  const [offer, convert, swap] = ["offer", "convert", "swap"].map((name) =>
    place.querySelector(`[data-preview-${name}]`),
  );
  offer.hidden = false;
  swap.onclick = () => {
    for (const pair of found.pairs) [pair.start, pair.end] = [pair.end, pair.start];
    found.note = found.note === SWAPPED ? "" : SWAPPED;
    show(place, found);
  };
  return new Promise((resolve) => {
    convert.onclick = () => {
      offer.hidden = true;
      resolve();
    };
  });
}

export function clear(place) {
  place.hidden = true;
  place.querySelector("[data-preview-offer]").hidden = true;
  for (const part of ["pairs", "findings"]) place.querySelector(`[data-preview-${part}]`).replaceChildren();
}

export function countOf({ pairs }) {
  const captions = pairs.filter((pair) => pair.caption).length;
  const count = `${pairs.length} ${pairs.length === 1 ? "pair" : "pairs"}`;
  if (!pairs.length) return "No pairs";
  if (!captions) return `${count} without captions`;
  return captions === pairs.length ? `${count} with captions` : `${count}, ${captions} with a caption`;
}

function shortened(sentences) {
  if (sentences.length <= MOST_SENTENCES) return sentences;
  const first = sentences.slice(0, MOST_SENTENCES - 1);
  return [...first, `And ${sentences.length - first.length} more like these.`];
}

function line(place, tone, sentence) {
  const item = place.querySelector(`[data-preview-${tone}]`).content.cloneNode(true).firstElementChild;
  item.querySelector("span").textContent = sentence;
  return item;
}

function tile(place, pair) {
  const item = place.querySelector("[data-preview-pair]").content.cloneNode(true).firstElementChild;
  const [start, end] = item.querySelectorAll("img");
  fill(start, pair.start, `Before, pair ${pair.index}`);
  fill(end, pair.end, `After, pair ${pair.index}`);
  const text = item.querySelector("p");
  const showCaption = (caption) => {
    text.textContent = caption || text.dataset.emptyText;
  };
  readCaption(pair.caption).then(
    (caption) => showCaption(caption.text),
    () => showCaption(""),
  );
  return item;
}

function fill(image, file, words) {
  image.alt = words;
  pictures.set(image, file);
  whenNear.observe(image);
}

// A picture is unpacked when it comes near the screen, and its URL is let go as soon as it is drawn.
const pictures = new WeakMap();
const whenNear = new IntersectionObserver(
  (entries) => {
    for (const { target, isIntersecting } of entries) {
      if (!isIntersecting) continue;
      whenNear.unobserve(target);
      load(target);
    }
  },
  { rootMargin: "200px" },
);

async function load(image) {
  const blob = await pictures
    .get(image)
    .open()
    .catch(() => null);
  if (!blob) return;
  image.src = URL.createObjectURL(blob);
  await image.decode().catch(() => {});
  URL.revokeObjectURL(image.src);
}

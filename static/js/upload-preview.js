// Shows what the browser found in the chosen files: [data-preview], until the server's verdict replaces it.

import { formatBytes } from "./format.js";
import { mostInputs } from "./images.js";

const MAX_PAIRS = 12;
const MAX_SENTENCES = 6;
const SWAPPED = "Before and after are swapped.";

export function show(preview, result) {
  preview.hidden = false;
  const pairs = result.pairs.slice(0, MAX_PAIRS);
  preview.querySelector("[data-preview-pairs]").replaceChildren(...pairs.map((pair) => tile(preview, pair)));
  const more = result.pairs.length - pairs.length;
  const rest = more ? `and ${more} more ${more === 1 ? "pair" : "pairs"}` : "";
  preview.querySelector("[data-preview-more]").textContent = rest;
  showFindings(preview, result);
}

// What was chosen, in a line: the name, and the number of pairs once they are known, with the first as cover.
export function showHead(head, { name, size, result }) {
  head.hidden = false;
  head.querySelector("[data-upload-name]").textContent = name;
  const contents = [result && describeCount(result), size && formatBytes(size)].filter(Boolean);
  head.querySelector("[data-upload-contents]").textContent = contents.join(" · ");
  const [pair] = result?.pairs ?? [];
  if (!pair) return;
  for (const [at, image] of [...head.querySelectorAll("img")].entries()) {
    const file = [pair.start, pair.end][at];
    image.hidden = false;
    if (files.get(image) !== file) fill(image, file, "");
  }
}

export function clearHead(head) {
  head.hidden = true;
  for (const image of head.querySelectorAll("img")) {
    image.hidden = true;
    image.removeAttribute("src");
    files.delete(image);
  }
}

// Once the captions are read and the pictures looked at.
export function showFindings(preview, result) {
  const { notes, problems, warnings } = result;
  const lines = [
    ...notes.map((sentence) => line(preview, "note", sentence)),
    ...shorten(problems).map((sentence) => line(preview, "bad", sentence)),
    ...shorten(warnings).map((sentence) => line(preview, "warn", sentence)),
  ];
  preview.querySelector("[data-preview-findings]").replaceChildren(...lines);
  for (const [at, item] of [...preview.querySelectorAll("[data-preview-pairs] > li")].entries()) {
    showCaption(item, result.pairs[at]);
  }
}

// Asks before the pairs are packed; resolves once the person agrees. `canSwap` where the names are another
// tool's, so that the halves may be the wrong way round.
export function askToPack(preview, result, { canSwap, onSwap }) {
  const [offer, convert, swap, order] = ["offer", "convert", "swap", "order"].map((name) =>
    preview.querySelector(`[data-preview-${name}]`),
  );
  offer.hidden = false;
  swap.hidden = !canSwap;
  order.hidden = !canSwap;
  const { notes } = result;
  swap.onclick = () => {
    for (const pair of result.pairs) [pair.start, pair.end] = [pair.end, pair.start];
    // The first note says the order.
    result.notes = result.notes === notes ? [SWAPPED, ...notes.slice(1)] : notes;
    show(preview, result);
    onSwap();
  };
  return new Promise((resolve) => {
    convert.onclick = () => {
      offer.hidden = true;
      resolve();
    };
  });
}

export function clear(preview) {
  preview.hidden = true;
  preview.querySelector("[data-preview-offer]").hidden = true;
  preview.querySelector("[data-preview-pairs]").replaceChildren();
  clearFindings(preview);
  for (const url of urls) URL.revokeObjectURL(url);
  urls.clear();
}

export function clearFindings(preview) {
  preview.querySelector("[data-preview-findings]").replaceChildren();
}

export function describeCount({ pairs }) {
  const captions = pairs.filter((pair) => pair.captionFile || pair.caption).length;
  const count = `${pairs.length} ${pairs.length === 1 ? "pair" : "pairs"}`;
  const most = mostInputs(pairs);
  const inputs = most > 1 ? `, up to ${most} input images a pair` : "";
  if (!pairs.length) return "No pairs";
  if (!captions) return `${count} without captions${inputs}`;
  return captions === pairs.length
    ? `${count} with captions${inputs}`
    : `${count}, ${captions} with a caption${inputs}`;
}

function shorten(sentences) {
  if (sentences.length <= MAX_SENTENCES) return sentences;
  const first = sentences.slice(0, MAX_SENTENCES - 1);
  return [...first, `And ${sentences.length - first.length} more like these.`];
}

function clone(preview, name) {
  return preview.querySelector(`[data-preview-${name}]`).content.cloneNode(true).firstElementChild;
}

function line(preview, tone, sentence) {
  const item = clone(preview, tone);
  item.querySelector("span").textContent = sentence;
  return item;
}

function tile(preview, pair) {
  const item = clone(preview, "pair");
  const [start, end] = item.querySelectorAll("img");
  fill(start, pair.start, `Before, pair ${pair.index}`);
  fill(end, pair.end, `After, pair ${pair.index}`);
  for (const [at, file] of pair.further.entries()) {
    const image = start.cloneNode();
    fill(image, file, `Input ${at + 2}, pair ${pair.index}`);
    item.querySelector(".further-inputs").append(image);
  }
  showCaption(item, pair);
  return item;
}

function showCaption(item, { text }) {
  const caption = item.querySelector("p");
  caption.textContent = text === undefined ? "" : text || caption.dataset.emptyText;
}

function fill(image, file, alt) {
  image.alt = alt;
  files.set(image, file);
  observer.observe(image);
}

// An image is unpacked when it comes near the screen. Its URL lives as long as the preview: a browser may load
// a picture again that it shows.
const files = new WeakMap();
const urls = new Set();
const observer = new IntersectionObserver(
  (entries) => {
    for (const { target, isIntersecting } of entries) {
      if (!isIntersecting) continue;
      observer.unobserve(target);
      load(target);
    }
  },
  { rootMargin: "200px" },
);

async function load(image) {
  const blob = await files
    .get(image)
    .open()
    .catch(() => null);
  if (!blob) return;
  image.src = URL.createObjectURL(blob);
  urls.add(image.src);
}

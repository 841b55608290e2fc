// Checks the images and captions of the pairs, and puts into sentences what is wrong with them. Where the
// portal packs the ZIP itself (`isPacking`), it converts whatever the browser can open.

import { readCaption } from "./captions.js";
import { CONVERTED, EXTENSIONS, readFormat } from "./images.js";
import { listNames, nameOf } from "./paths.js";

const CONCURRENCY = 8;
const SMALL = 256; // pixels
const MAX_SHAPE_DIFFERENCE = 0.02;

export async function checkPairs(pairs, { isPacking, signal }) {
  const findings = { formats: [], small: [], uneven: [], captions: [] };
  for (let at = 0; at < pairs.length && !signal.aborted; at += CONCURRENCY) {
    await Promise.all(pairs.slice(at, at + CONCURRENCY).map((pair) => checkPair(pair, findings)));
  }
  const [describeFormats, describeCaptions] = isPacking
    ? [formatsWhenPacked, captionsWhenPacked]
    : [formatsInZip, captionsInZip];
  const [formats, captions] = [describeFormats(findings.formats), describeCaptions(findings.captions)];
  const sizes = [...smallSentences(findings.small), ...unevenSentences(findings.uneven)];
  return {
    problems: [...formats.problems, ...captions.problems],
    warnings: [...sizes, ...formats.warnings, ...captions.warnings],
  };
}

async function checkPair(pair, findings) {
  const images = [];
  for (const file of [pair.start, pair.end]) {
    const format = await readFormat(file).catch(() => ({ kind: "", unreadable: true }));
    file.kind = format.kind;
    images.push(format);
    if (!EXTENSIONS[format.kind]) findings.formats.push({ file, ...format });
  }
  const { encoding } = await readCaption(pair.caption).catch(() => ({ encoding: "" }));
  if (encoding !== "utf-8") findings.captions.push({ name: nameOf(pair.caption.path), encoding });
  const [start, end] = images;
  if (images.some(({ width, height }) => Math.min(width, height) < SMALL)) findings.small.push(pair.index);
  const [one, two] = [start.width * end.height, end.width * start.height];
  const isUneven = Math.abs(one - two) > MAX_SHAPE_DIFFERENCE * Math.max(one, two);
  if (isUneven) findings.uneven.push({ index: pair.index, start, end });
}

// What the portal's own check will say of a ZIP that is sent as it is.
function formatsInZip(formats) {
  const [webp, other] = partition(formats, ({ kind }) => kind === "WebP");
  return {
    warnings: sentenceFor(webp, (names, are) => `${names} ${are} really WebP. Training may refuse it.`),
    problems: other.map(({ file, kind, unreadable }) =>
      unreadable
        ? `“${file.path}” cannot be read.`
        : `“${file.path}” is really ${kind || "no picture"}. Save it as JPEG or PNG.`,
    ),
  };
}

function captionsInZip(captions) {
  const [utf16, other] = partition(captions, ({ encoding }) => encoding.startsWith("utf-16"));
  return {
    warnings: [],
    problems: [
      ...sentenceFor(
        utf16,
        (names, are) => `${names} ${are} saved as “Unicode” (UTF-16). The portal can repair it.`,
      ),
      ...sentenceFor(
        other,
        (names, are) => `${names} ${are} not plain UTF-8 text. Save as UTF-8 and pack again.`,
      ),
    ],
  };
}

function formatsWhenPacked(formats) {
  const [converted, other] = partition(formats, ({ kind }) => CONVERTED.includes(kind));
  const kinds = [...new Set(converted.map(({ kind }) => kind))].join(" or ");
  return {
    warnings: sentenceFor(
      converted,
      (names, are) => `${names} ${are} ${kinds}: packed as PNG, without loss.`,
    ),
    problems: other.map(({ file, kind, unreadable }) =>
      unreadable
        ? `“${file.path}” cannot be read. Choose the files again.`
        : `“${nameOf(file.path)}” is ${kind ? `a ${kind} picture` : "no picture"}. Save it as JPEG or PNG.`,
    ),
  };
}

function captionsWhenPacked(captions) {
  const [unreadable, readable] = partition(captions, ({ encoding }) => !encoding);
  const [, guessed] = partition(readable, ({ encoding }) => encoding.startsWith("utf-16"));
  return {
    warnings: sentenceFor(
      guessed,
      (names, are) => `${names} ${are} not UTF-8. Check that the captions below are readable.`,
    ),
    problems: sentenceFor(unreadable, (names) => `${names} cannot be read. Choose the files again.`),
  };
}

function smallSentences(indexes) {
  const have = indexes.length === 1 ? "has a picture" : "have pictures";
  return indexes.length
    ? [`${listNames(indexes)} ${have} under ${SMALL} pixels. Larger pictures train better.`]
    : [];
}

function unevenSentences(uneven) {
  if (!uneven.length) return [];
  if (uneven.length > 1) {
    const names = listNames(uneven.map(({ index }) => index));
    return [`The halves of ${names} differ in shape. Crop each pair to one shape.`];
  }
  const [{ index, start, end }] = uneven;
  const [one, two] = [start, end].map(({ width, height }) => `${width} × ${height}`);
  return [`The halves of “${index}” differ in shape: ${one} and ${two}. Crop both to the same shape.`];
}

// One sentence about several files, or none.
function sentenceFor(findings, sentence) {
  const names = findings.map(({ name, file }) => name ?? nameOf(file.path));
  return names.length ? [sentence(listNames(names), names.length === 1 ? "is" : "are")] : [];
}

function partition(items, test) {
  return [items.filter(test), items.filter((item) => !test(item))];
}

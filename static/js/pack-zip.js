// Packs pairs into a ZIP as the provider's API wants it: flat, named 01_start.jpg, 01_end.jpg and 01.txt, with
// further inputs as 01_start2.jpg and so on, endings after the bytes, captions in UTF-8. What the browser can open is converted to PNG; other types go as
// they are, and the server's check offers to convert them. No JPEG or PNG is copied: the ZIP is a blob of
// small headers between the files themselves, which are read once for their checksums.
// The same files give the same bytes, so that an upload can be resumed.

import { listNames } from "./findings.js";
import { imagesOf, isConvertedHere, toPng } from "./images.js";

const PLAIN_NAME = /^[a-z0-9][a-z0-9 ._-]{0,59}$/i;
const MAX_TOTAL = 0xffff0000; // without zip64
const EMPTY = new Uint8Array(0);

export class PackError extends Error {}

export async function packPairs(pairs, { name, lastModified, signal, onProgress }) {
  const members = await membersOf(pairs, signal);
  const total = members.reduce((sum, { blob }) => sum + blob.size, 0);
  if (total > MAX_TOTAL) {
    throw new PackError("Together that is over 4 GB, too much to pack here. Make a ZIP of it and drop that.");
  }
  const { Zip, ZipPassThrough } = await import("../vendor/fflate/fflate-0.8.2.js");
  const parts = [];
  let passing = EMPTY;
  const zip = new Zip((error, chunk) => {
    if (error) throw error;
    if (chunk !== passing) parts.push(chunk);
  });
  let done = 0;
  for (const { path, blob } of members) {
    const entry = new ZipPassThrough(path);
    entry.mtime = new Date(1980, 0, 1);
    zip.add(entry);
    const pass = (chunk, last) => {
      passing = chunk;
      entry.push(chunk, last);
    };
    pass(EMPTY, false);
    parts.push(blob);
    for await (const chunk of chunksOf(blob)) {
      signal.throwIfAborted();
      pass(chunk, false);
      done += chunk.length;
      onProgress(done, total);
    }
    pass(EMPTY, true);
  }
  zip.end();
  return new File(parts, name, { type: "application/zip", lastModified });
}

// Sentences about pictures of types that trainers do not take.
export function describeConversions(pairs) {
  const images = pairs.flatMap(imagesOf).filter(({ type }) => type?.converts);
  const here = images.filter(isConvertedHere).map(({ path }) => path);
  const later = images.filter((image) => !isConvertedHere(image)).map(({ path }) => path);
  const sentences = [];
  if (here.length) sentences.push(`${listNames(here)} ${here.length === 1 ? "is" : "are"} packed as PNG.`);
  if (later.length) {
    const [rest, them] = later.length === 1 ? ["is sent as it is", "it"] : ["are sent as they are", "them"];
    sentences.push(`${listNames(later)} ${rest}; the portal then offers to convert ${them}.`);
  }
  return sentences;
}

async function membersOf(pairs, signal) {
  const names = namesFor(pairs);
  const members = [];
  for (const [number, { start, end, further, text }] of pairs.entries()) {
    signal.throwIfAborted();
    const add = (ending, blob) => members.push({ path: names[number] + ending, blob });
    const inputs = further.map((file, at) => [`start${at + 2}`, file]);
    for (const [place, file] of [["start", start], ["end", end], ...inputs]) {
      const { blob, suffix } = await plain(file);
      add(`_${place}${suffix}`, blob);
    }
    if (text) add(".txt", new Blob([text]));
  }
  return members;
}

async function plain(file) {
  const blob = await file.open();
  const png = isConvertedHere(file) ? await toPng(blob).catch(() => null) : null;
  return png ? { blob: png, suffix: ".png" } : { blob, suffix: file.type.endings[0] };
}

// The names of the pairs if all are plain and different; else 01, 02 and so on.
function namesFor(pairs) {
  const names = pairs.map(({ index }) => index);
  const areDifferent = new Set(names.map((name) => name.toLowerCase())).size === names.length;
  if (areDifferent && names.every((name) => PLAIN_NAME.test(name))) return names;
  const width = Math.max(2, String(pairs.length).length);
  return pairs.map((_, number) => String(number + 1).padStart(width, "0"));
}

async function* chunksOf(blob) {
  const reader = blob.stream().getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    yield value;
  }
}

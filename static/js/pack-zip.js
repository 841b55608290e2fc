// Packs pairs into a ZIP as the vendor wants it: flat, 01_start.jpg, 01_end.jpg, 01.txt; extensions after
// the bytes, other kinds turned into PNG, captions in UTF-8. No JPEG or PNG is copied: the ZIP is a blob of
// small headers between the files themselves, which are read once for their checksums. The same files give the same bytes, so an upload
// can be resumed.

import { readCaption } from "./captions.js";
import { asPng, EXTENSIONS } from "./images.js";
import { nameOf } from "./paths.js";

const PLAIN = /^[a-z0-9][a-z0-9 ._-]{0,59}$/i;
const LIMIT = 0xffff0000;
const EMPTY = new Uint8Array(0);

export class Unpackable extends Error {}

export async function pack(pairs, { name, lastModified, signal, onProgress }) {
  const members = await membersOf(pairs, signal);
  const total = members.reduce((sum, { blob }) => sum + blob.size, 0);
  if (total > LIMIT) {
    throw new Unpackable(
      "Together that is over 4 GB, too much to pack here. Make a ZIP of it and drop that.",
    );
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

async function membersOf(pairs, signal) {
  const names = namesFor(pairs);
  const members = [];
  for (const [number, { start, end, caption }] of pairs.entries()) {
    signal.throwIfAborted();
    const add = (ending, blob) => members.push({ path: names[number] + ending, blob });
    for (const [half, file] of Object.entries({ start, end })) {
      const extension = EXTENSIONS[file.kind];
      add(`_${half}.${extension ?? "png"}`, extension ? await file.open() : await converted(file));
    }
    const { text } = await readCaption(caption);
    if (text) add(".txt", new Blob([text]));
  }
  return members;
}

async function converted(file) {
  try {
    return await asPng(await file.open());
  } catch {
    throw new Unpackable(`“${nameOf(file.path)}” cannot be opened. Save it as JPEG or PNG.`);
  }
}

// The names that people know, if they are plain and each is there once; else 01, 02 and so on.
function namesFor(pairs) {
  const own = pairs.map(({ index }) => index);
  const different = new Set(own.map((name) => name.toLowerCase())).size === own.length;
  if (different && own.every((name) => PLAIN.test(name))) return own;
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

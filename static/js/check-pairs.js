// Checks the pictures and captions of the pairs as far as their first bytes and texts tell. The server's
// check decodes each picture, and says what only that shows.

import { accepted } from "./accepted.js";
import { readCaptions } from "./captions.js";
import { HEAD, imagesOf, mostInputs, otherType, pictureType } from "./images.js";

const CONCURRENCY = 8;

// Adds to the findings, and sets `type` of each picture and `text` of each pair. Returns questions about guesses.
export async function checkPairs({ pairs, findings }, signal) {
  const images = pairs.flatMap(imagesOf);
  for (let at = 0; at < images.length && !signal.aborted; at += CONCURRENCY) {
    const some = images.slice(at, at + CONCURRENCY);
    const heads = await Promise.all(some.map((image) => image.head(HEAD)));
    for (const [number, image] of some.entries()) addFindings(image, heads[number], findings);
  }
  const questions = await readCaptions(pairs, findings, signal);
  const most = mostInputs(pairs);
  if (most > 1) findings.add("further inputs", [""], String(most));
  if (pairs.length && pairs.length < accepted.limits.few) {
    findings.add("few", [""], pairs.length === 1 ? "1 pair" : `${pairs.length} pairs`);
  }
  return questions;
}

function addFindings(image, head, findings) {
  const { path, suffix, size } = image;
  const ending = suffix.toLowerCase();
  const type = pictureType(head);
  image.type = type;
  if (size > accepted.limits.image_bytes) findings.add("bytes", [path]);
  else if (!type?.trains && !type?.converts)
    findings.add("other type", [path], type?.label ?? otherType(head));
  else if (!type.trains) findings.add("converted", [path], type.label);
  else if (type.converts) findings.add("webp", [path]);
  else if (type.renamed.includes(ending)) findings.add("ending", [path], type.endings[0]);
  else if (!type.endings.includes(ending)) findings.add("name", [path], type.label);
}

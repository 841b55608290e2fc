// Looks into the pictures and captions of the pairs and says in words what is odd about them.
// `packing`: the portal packs them itself, so a wrong extension is put right, and a wrong kind is a problem.

import { readCaption } from "./captions.js";
import { nameOf, some } from "./names.js";
import { EXTENSIONS, lookAt } from "./pictures.js";

const AT_ONCE = 8;
const TINY = 256;

export async function examine(pairs, { packing, signal }) {
  const seen = { wrong: [], tiny: [], uneven: [], encoded: [] };
  for (let at = 0; at < pairs.length && !signal.aborted; at += AT_ONCE) {
    await Promise.all(pairs.slice(at, at + AT_ONCE).map((pair) => examinePair(pair, seen)));
  }
  const wrong = seen.wrong.map(packing ? wrongToPack : wrongInZip);
  const warnings = [...tinySentence(seen.tiny), ...unevenSentence(seen.uneven)];
  if (packing) return { problems: wrong, warnings };
  const encoded = seen.encoded.map((name) => `“${name}” is not UTF-8 text and will be ignored.`);
  return { problems: [], warnings: [...wrong, ...warnings, ...encoded] };
}

async function examinePair(pair, seen) {
  const facts = [];
  for (const file of [pair.start, pair.end]) {
    const known = await lookAt(file).catch(() => ({ kind: "", unreadable: true }));
    file.kind = known.kind;
    facts.push(known);
    if (!EXTENSIONS[known.kind]) seen.wrong.push({ file, ...known });
  }
  const caption = await readCaption(pair.caption).catch(() => ({ utf8: false }));
  if (!caption.utf8) seen.encoded.push(nameOf(pair.caption.path));
  const [start, end] = facts;
  if (facts.some(({ width, height }) => Math.min(width, height) < TINY)) seen.tiny.push(pair.index);
  const [one, two] = [start.width * end.height, end.width * start.height];
  if (Math.abs(one - two) > 0.02 * Math.max(one, two)) seen.uneven.push({ index: pair.index, start, end });
}

function wrongInZip({ file, kind, unreadable }) {
  if (unreadable) return `“${file.path}” cannot be read.`;
  return `“${file.path}” is really ${kind || "not a JPEG or PNG"}. Training may refuse it.`;
}

function wrongToPack({ file, kind, unreadable }) {
  if (unreadable) return `“${file.path}” cannot be read. Choose the files again.`;
  return `“${nameOf(file.path)}” is ${kind ? `a ${kind} picture` : "no picture"}. Save it as JPEG or PNG.`;
}

function tinySentence(indexes) {
  const are = indexes.length === 1 ? "has a picture" : "have pictures";
  return indexes.length ? [`${some(indexes)} ${are} under ${TINY} pixels. Larger ones teach more.`] : [];
}

function unevenSentence(uneven) {
  if (!uneven.length) return [];
  const size = ({ width, height }) => `${width} × ${height}`;
  const [{ index, start, end }] = uneven;
  if (uneven.length === 1) {
    return [`The halves of “${index}” differ in shape: ${size(start)} and ${size(end)}. Crop them alike.`];
  }
  return [`The halves of ${some(uneven.map((pair) => pair.index))} differ in shape. Crop them alike.`];
}

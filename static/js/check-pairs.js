// Looks into the pictures and captions of the pairs and says in words what is odd about them.
// `packing`: the portal packs them itself, so whatever the browser can open is put right on the way.

import { readCaption } from "./captions.js";
import { CONVERTED, EXTENSIONS, lookAt } from "./images.js";
import { nameOf, some } from "./paths.js";

const AT_ONCE = 8;
const TINY = 256;

export async function examine(pairs, { packing, signal }) {
  const seen = { wrong: [], tiny: [], uneven: [], captions: [] };
  for (let at = 0; at < pairs.length && !signal.aborted; at += AT_ONCE) {
    await Promise.all(pairs.slice(at, at + AT_ONCE).map((pair) => examinePair(pair, seen)));
  }
  const warnings = [...tinySentence(seen.tiny), ...unevenSentence(seen.uneven)];
  const [pictures, texts] = packing ? [toPack, textsToPack] : [inZip, textsInZip];
  for (const found of [pictures(seen.wrong), texts(seen.captions)]) warnings.push(...found.warnings);
  return { problems: [...pictures(seen.wrong).problems, ...texts(seen.captions).problems], warnings };
}

async function examinePair(pair, seen) {
  const facts = [];
  for (const file of [pair.start, pair.end]) {
    const known = await lookAt(file).catch(() => ({ kind: "", unreadable: true }));
    file.kind = known.kind;
    facts.push(known);
    if (!EXTENSIONS[known.kind]) seen.wrong.push({ file, ...known });
  }
  const { encoding } = await readCaption(pair.caption).catch(() => ({ encoding: "" }));
  if (encoding !== "utf-8") seen.captions.push({ name: nameOf(pair.caption.path), encoding });
  const [start, end] = facts;
  if (facts.some(({ width, height }) => Math.min(width, height) < TINY)) seen.tiny.push(pair.index);
  const [one, two] = [start.width * end.height, end.width * start.height];
  if (Math.abs(one - two) > 0.02 * Math.max(one, two)) seen.uneven.push({ index: pair.index, start, end });
}

// What the portal's own check will say of a ZIP that is sent as it is.
function inZip(wrong) {
  const [webp, other] = parted(wrong, ({ kind }) => kind === "WebP");
  return {
    warnings: each(webp, (names, are) => `${names} ${are} really WebP. Training may refuse that.`),
    problems: other.map(({ file, kind, unreadable }) =>
      unreadable
        ? `“${file.path}” cannot be read.`
        : `“${file.path}” is really ${kind || "no picture"}. Save it as JPEG or PNG.`,
    ),
  };
}

function textsInZip(captions) {
  const [wide, other] = parted(captions, ({ encoding }) => encoding.startsWith("utf-16"));
  const sentence = (names, are) => `${names} ${are} not plain UTF-8 text. Save as UTF-8 and pack again.`;
  return {
    warnings: [],
    problems: [
      ...each(
        wide,
        (names, are) => `${names} ${are} saved as “Unicode” (UTF-16). The portal can put that right.`,
      ),
      ...each(other, sentence),
    ],
  };
}

function toPack(wrong) {
  const [converted, other] = parted(wrong, ({ kind }) => CONVERTED.includes(kind));
  const kinds = [...new Set(converted.map(({ kind }) => kind))].join(" or ");
  return {
    warnings: each(converted, (names, are) => `${names} ${are} ${kinds}: packed as PNG, without loss.`),
    problems: other.map(({ file, kind, unreadable }) =>
      unreadable
        ? `“${file.path}” cannot be read. Choose the files again.`
        : `“${nameOf(file.path)}” is ${kind ? `a ${kind} picture` : "no picture"}. Save it as JPEG or PNG.`,
    ),
  };
}

function textsToPack(captions) {
  const [unread, rest] = parted(captions, ({ encoding }) => !encoding);
  const [, guessed] = parted(rest, ({ encoding }) => encoding.startsWith("utf-16"));
  return {
    warnings: each(
      guessed,
      (names, are) => `${names} ${are} not UTF-8. Look whether the captions below read well.`,
    ),
    problems: each(unread, (names) => `${names} cannot be read. Choose the files again.`),
  };
}

function each(found, sentence) {
  const names = found.map(({ name, file }) => name ?? nameOf(file.path));
  return names.length ? [sentence(some(names), names.length === 1 ? "is" : "are")] : [];
}

function parted(all, test) {
  return [all.filter(test), all.filter((one) => !test(one))];
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

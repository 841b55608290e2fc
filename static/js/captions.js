// Reads the captions of pairs and tables in any encoding: the marks first, then UTF-8, then one code page for
// all that are not Unicode.

import { accepted } from "./accepted.js";
import { codePageOfTexts, decodeStrictly } from "./code-pages.js";
import { questionOf } from "./findings.js";
import { captionOf } from "./tables.js";

const CONCURRENCY = 16;
const ODD = /[^\p{ASCII}]/u;
const { limits } = accepted;
const placeholder = new RegExp(accepted.captions.placeholder, "i");

// Sets `text` of each pair, adds what is wrong to the findings, and returns questions about guesses. Throws a
// NotAskedError.
export async function readCaptions(pairs, findings, signal) {
  const raws = await readRaws(pairs, findings, signal);
  const odd = raws.filter(({ encoding }) => !encoding);
  const page = odd.length ? await codePageOfTexts(odd.map(({ bytes }) => bytes)) : null;
  const questions = [];
  for (const raw of raws) {
    const text = textOf(raw, page);
    const { path } = raw.pair.captionFile;
    raw.pair.text = text ?? "";
    if (text === null) findings.add("not text", [path]);
    else addFindings(raw, text, page, findings);
    if (text !== null && !raw.encoding && !questions.length) {
      questions.push(questionOf("encoding", [path, aroundOdd(text)], page.label));
    }
  }
  for (const pair of pairs) {
    if (pair.caption) addTextFindings(`caption of ${pair.index}`, pair.caption, findings);
    pair.text ??= pair.caption;
  }
  addMissing(pairs, findings);
  return questions;
}

// The text of a table of pairs; empty if it is none. Throws a NotAskedError.
export async function readTableText(file) {
  if (file.size > limits.table_bytes) return "";
  const bytes = await file.head(limits.table_bytes);
  const encoding = encodingOf(bytes);
  const page = encoding ? null : await codePageOfTexts([bytes]);
  return decode(bytes, encoding, page) ?? "";
}

async function readRaws(pairs, findings, signal) {
  const raws = [];
  const withFile = pairs.filter(({ captionFile }) => captionFile);
  for (let at = 0; at < withFile.length && !signal.aborted; at += CONCURRENCY) {
    const some = withFile.slice(at, at + CONCURRENCY);
    const read = await Promise.all(
      some.map(async (pair) => {
        if (pair.captionFile.size > limits.caption_bytes) return null;
        const bytes = await pair.captionFile.head(limits.caption_bytes);
        return { pair, bytes, encoding: encodingOf(bytes) };
      }),
    );
    raws.push(...read.filter(Boolean));
  }
  const long = withFile.filter(({ captionFile }) => captionFile.size > limits.caption_bytes);
  findings.add(
    "long file",
    long.map(({ captionFile }) => captionFile.path),
  );
  return raws;
}

function textOf({ bytes, encoding, pair }, page) {
  const text = decode(bytes, encoding, page);
  return text !== null && pair.captionFile.suffix.toLowerCase() === ".json" ? captionInJson(text) : text;
}

// utf-8-sig is UTF-8 with a mark; empty where the encoding is a guess.
function encodingOf(bytes) {
  const hex = Array.from(bytes.subarray(0, 3), (byte) => byte.toString(16).padStart(2, "0")).join("");
  const mark = accepted.encodings.marks.find(([each]) => hex.startsWith(each));
  if (mark) return mark[1] === "utf-8" ? "utf-8-sig" : mark[1];
  const zeros = [0, 0];
  for (const [at, byte] of bytes.entries()) if (!byte) zeros[at % 2] += 1;
  if (Math.max(...zeros) * 4 > bytes.length && !Math.min(...zeros)) return zeros[1] ? "utf-16le" : "utf-16be";
  return decodeStrictly(bytes, "utf-8") === null ? "" : "utf-8";
}

function decode(bytes, encoding, page) {
  const label = encoding === "utf-8-sig" ? "utf-8" : encoding;
  const text = label ? decodeStrictly(bytes, label) : page?.decode(bytes);
  const clean = text?.replace(/^\ufeff/, "").trim() ?? null;
  return clean === null || hasControlCharacter(clean) ? null : clean;
}

function hasControlCharacter(text) {
  return Array.from(text.match(/\p{Cc}/gu) ?? []).some(
    (char) => char < "\t" || char === "\x7f" || (char > "\r" && char < " "),
  );
}

function captionInJson(text) {
  try {
    const value = JSON.parse(text);
    return typeof value === "string" ? value.trim() : captionOf(value) || null;
  } catch {
    return null;
  }
}

function addFindings({ pair, encoding }, text, page, findings) {
  const { path, suffix } = pair.captionFile;
  addTextFindings(path, text, findings);
  if (encoding.startsWith("utf-16")) findings.add("utf-16", [path]);
  else if (encoding === "utf-8-sig") findings.add("byte order mark", [path]);
  else if (!encoding) findings.add("encoding", [path], page.label);
  if (suffix.toLowerCase() !== accepted.captions.ending) findings.add("caption ending", [path]);
}

function addTextFindings(name, text, findings) {
  if (!text) findings.add("empty caption", [name]);
  if (Array.from(text).length > limits.caption_length) findings.add("long caption", [name]);
  const [word] = text.match(placeholder) ?? [];
  if (word) findings.add("placeholder", [name], word);
}

function addMissing(pairs, findings) {
  const without = pairs.filter(({ captionFile, caption }) => !captionFile && !caption);
  if (pairs.length && without.length === pairs.length) findings.add("no captions", [""]);
  else
    findings.add(
      "some captions",
      without.map(({ index }) => index),
    );
}

// The part of a text in which the letters outside ASCII are, about 70 characters long.
function aroundOdd(text) {
  const chars = Array.from(text);
  const first = Math.max(0, chars.findIndex((char) => ODD.test(char)) - 30);
  const part = chars.slice(first, first + 70).join("");
  return (first ? "…" : "") + part.trim().replace(/\s+/g, " ");
}

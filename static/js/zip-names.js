// Decodes the names in a ZIP as the server's check does: UTF-8 by its flag or by the bytes, or an old code
// page, which the server guesses for all names together.

import { decodeStrictly, guessCodePage, isAscii } from "./code-pages.js";

const UNICODE_PATH = 0x7075;

// Sets `path` of members with rawName, isUtf8 and extra, and `codePage` where a name is read by a guess.
export async function decodeNames(members) {
  const unflagged = members.filter(({ isUtf8 }) => !isUtf8).map(({ rawName }) => rawName);
  const isOld = unflagged.some((raw) => decodeStrictly(raw, "utf-8") === null);
  const page = isOld ? await guessCodePage("names", unflagged) : null;
  for (const member of members) {
    const text = unicodePathOf(member) ?? decodeUtf8(member, page);
    member.path = text ?? decodeName(member, page);
    member.codePage = text === null ? (page?.label ?? "") : "";
  }
}

// Null where the name is in a code page.
function decodeUtf8({ rawName, isUtf8 }, page) {
  if (isUtf8) return new TextDecoder().decode(rawName);
  return isAscii(rawName) || !page?.isForAll ? decodeStrictly(rawName, "utf-8") : null;
}

function decodeName({ rawName }, page) {
  const name = page?.decode(rawName) ?? null;
  if (name === null) return neutralName(rawName);
  // Byte 5C may be the second half of a character, so in a page of single bytes it separates no folder there.
  return page.encoding ? name : name.replace(/(?<=[^\p{ASCII}])\\/gu, "\uff3c");
}

function neutralName(raw) {
  const character = (byte) =>
    byte < 128 && byte !== 0x5c ? String.fromCharCode(byte) : `x${byte.toString(16).padStart(2, "0")}`;
  return Array.from(raw, character).join("");
}

// The UTF-8 name that Info-ZIP and others add to a name in a code page.
function unicodePathOf({ extra, rawName }) {
  const view = new DataView(extra.buffer, extra.byteOffset, extra.byteLength);
  for (let at = 0; at + 4 <= extra.length; ) {
    const size = view.getUint16(at + 2, true);
    const isPath = view.getUint16(at, true) === UNICODE_PATH && size >= 5 && at + 4 + size <= extra.length;
    if (isPath && extra[at + 4] === 1 && view.getUint32(at + 5, true) === crc32(rawName)) {
      return new TextDecoder().decode(extra.subarray(at + 9, at + 4 + size));
    }
    at += 4 + size;
  }
  return null;
}

function crc32(bytes) {
  let crc = -1;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc >>> 0;
}

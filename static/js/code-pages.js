// Asks the server in which old code page names or captions are that are not Unicode: it guesses one for all
// of them together.

import { csrfToken } from "./drop-zone.js";

const MAX_SAMPLE = 32 * 1024; // bytes
const NOT_ASKED = "Texts are in an old encoding, and the portal could not be asked which one.";

export class NotAskedError extends Error {
  constructor() {
    super(NOT_ASKED);
  }
}

// `kind` is names or texts. Returns { label, isForAll, decode }, null where none fits, and undefined where the
// portal did not answer; `decode` gives null for bytes that the code page does not have, and `isForAll` says
// that names in valid UTF-8 are in the code page, too.
export async function guessCodePage(kind, raws) {
  const { codePageUrl } = document.querySelector("[data-code-page-url]").dataset;
  const body = new URLSearchParams({ kind, samples: sampleOf(raws).join("\n") });
  const headers = { "X-CSRFToken": csrfToken() };
  const response = await fetch(codePageUrl, { method: "POST", body, headers }).catch(() => null);
  const page = response?.ok ? await response.json().catch(() => null) : null;
  if (!page) return undefined;
  if (!page.label) return null;
  return { ...page, decode: page.encoding ? decoderOf(page.encoding) : characterDecoderOf(page.characters) };
}

// Like `guessCodePage`. Throws a NotAskedError where the portal did not answer: no text is wrong for that.
export async function codePageOfTexts(raws) {
  const page = await guessCodePage("texts", raws);
  if (page === undefined) throw new NotAskedError();
  return page;
}

export function isAscii(bytes) {
  return bytes.every((byte) => byte < 128);
}

export function decodeStrictly(bytes, encoding) {
  try {
    return new TextDecoder(encoding, { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return null;
  }
}

function decoderOf(encoding) {
  return (bytes) => decodeStrictly(bytes, encoding);
}

// A code page of single bytes, by its characters from byte 80 to FF.
function characterDecoderOf(characters) {
  return (bytes) => {
    const text = Array.from(bytes, (byte) =>
      byte < 128 ? String.fromCharCode(byte) : characters[byte - 128],
    );
    return text.includes("\ufffd") ? null : text.join("");
  };
}

function sampleOf(raws) {
  const samples = new Set();
  let size = 0;
  for (const raw of raws) {
    if (isAscii(raw)) continue;
    if (size + raw.length > MAX_SAMPLE && samples.size) break;
    const part = raw.subarray(0, MAX_SAMPLE);
    samples.add(btoa(Array.from(part, (byte) => String.fromCharCode(byte)).join("")));
    size += part.length;
  }
  return [...samples];
}

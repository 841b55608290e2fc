// Reads the caption of a pair: a .txt file in any encoding, or a prompt of metadata.jsonl. Text that is
// neither UTF-8 nor UTF-16 is read as Windows-1252, which is a guess.

const MAX_BYTES = 64 * 1024;

export async function readCaption(caption) {
  if (!caption) return { text: "", encoding: "utf-8" };
  if (typeof caption === "string") return { text: caption.trim(), encoding: "utf-8" };
  const bytes = await caption.head(MAX_BYTES);
  const encoding = encodingOf(bytes);
  return { text: new TextDecoder(encoding).decode(bytes).trim(), encoding };
}

function encodingOf(bytes) {
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return "utf-16le";
  if (bytes[0] === 0xfe && bytes[1] === 0xff) return "utf-16be";
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    return "utf-8";
  } catch {
    return "windows-1252";
  }
}

// The text of a caption: from a .txt in whatever encoding, or a prompt of metadata.jsonl.

const MAX = 64 * 1024;

export async function readCaption(caption) {
  if (!caption) return { text: "", utf8: true };
  if (typeof caption === "string") return { text: caption.trim(), utf8: true };
  const bytes = await caption.head(MAX);
  const encoding = encodingOf(bytes);
  return { text: new TextDecoder(encoding).decode(bytes).trim(), utf8: encoding === "utf-8" };
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

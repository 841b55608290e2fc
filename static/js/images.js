// Reads the format of an image from its first bytes and, for PNG and JPEG, its size.

const SIGNATURES = [
  ["JPEG", [0xff, 0xd8, 0xff]],
  ["PNG", [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]],
  ["GIF", [0x47, 0x49, 0x46, 0x38]],
  ["BMP", [0x42, 0x4d]],
  ["TIFF", [0x49, 0x49, 0x2a, 0x00]],
  ["TIFF", [0x4d, 0x4d, 0x00, 0x2a]],
];
const HEAD = 64 * 1024;
const LONG_HEAD = 2 * 1024 * 1024; // for a JPEG with much metadata
// Markers that begin a frame and so carry the size: all of C0 to CF but DHT, JPG and DAC.
const FRAME_MARKERS = new Set([0xc0, 0xc1, 0xc2, 0xc3, 0xc5, 0xc6, 0xc7, 0xc9, 0xca, 0xcb, 0xcd, 0xce, 0xcf]);

export const EXTENSIONS = { JPEG: "jpg", PNG: "png" };
export const CONVERTED = ["WebP", "GIF", "BMP", "AVIF"]; // what browsers open and trainers do not

export async function readFormat(file) {
  const format = parse(await file.head(HEAD));
  const isCutOff = format.kind === "JPEG" && !format.width && file.size > HEAD;
  return isCutOff ? parse(await file.head(LONG_HEAD)) : format;
}

function parse(bytes) {
  const kind = kindOf(bytes);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (kind === "PNG" && bytes.length >= 24) {
    return { kind, width: view.getUint32(16), height: view.getUint32(20) };
  }
  return { kind, ...(kind === "JPEG" && frameSize(view)) };
}

// Converts an image to PNG: rotated as its metadata says, and of an animation the first frame.
export async function toPng(blob) {
  const image = await createImageBitmap(blob);
  const canvas = new OffscreenCanvas(image.width, image.height);
  canvas.getContext("2d").drawImage(image, 0, 0);
  image.close();
  return canvas.convertToBlob({ type: "image/png" });
}

function kindOf(bytes) {
  const match = SIGNATURES.find(([, magic]) => magic.every((byte, at) => bytes[at] === byte));
  if (match) return match[0];
  const text = String.fromCharCode(...bytes.subarray(0, 16));
  if (text.startsWith("RIFF") && text.slice(8, 12) === "WEBP") return "WebP";
  if (text.slice(4, 8) === "ftyp") return text.slice(8, 12).startsWith("avi") ? "AVIF" : "HEIC";
  return "";
}

function frameSize(view) {
  for (let at = 2; at + 9 <= view.byteLength; ) {
    const marker = view.getUint8(at + 1);
    if (view.getUint8(at) !== 0xff) return {};
    if (FRAME_MARKERS.has(marker)) return { height: view.getUint16(at + 5), width: view.getUint16(at + 7) };
    at += marker === 0xff ? 1 : 2 + view.getUint16(at + 2);
  }
  return {};
}

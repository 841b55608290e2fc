// The images of a pair, the type of a picture by its first bytes, and the conversion of pictures to PNG.

import { accepted } from "./accepted.js";

export const HEAD = 512; // bytes
const OPENED = ["WEBP", "AVIF", "GIF", "BMP"]; // that every browser opens and trainers do not take

export const imagesOf = ({ start, end, further }) => [start, end, ...further];

export const mostInputs = (pairs) => Math.max(1, ...pairs.map(({ further }) => 1 + further.length));

export const isConvertedHere = ({ type }) => OPENED.includes(type?.name);

// The type of the table whose magic the bytes have, if any.
export function pictureType(bytes) {
  const matches = ([offset, magic]) => hexOf(bytes.subarray(offset, offset + magic.length / 2)) === magic;
  return accepted.pictures.find(({ magic }) => magic.some((alternative) => alternative.every(matches)));
}

// What else the bytes are, such as “a PDF” or “no picture”.
export function otherType(bytes) {
  const text = new TextDecoder().decode(bytes).trimStart().toLowerCase();
  if (text.startsWith("<")) return text.includes("<svg") ? "an SVG drawing" : "a web page";
  const hex = hexOf(bytes);
  return accepted.others.find(([magic]) => hex.startsWith(magic))?.[1] ?? "no picture";
}

// Upright, and of an animation the first picture. Raises if the browser cannot open it.
export async function toPng(blob) {
  const image = await createImageBitmap(blob);
  const canvas = new OffscreenCanvas(image.width, image.height);
  canvas.getContext("2d").drawImage(image, 0, 0);
  image.close();
  return canvas.convertToBlob({ type: "image/png" });
}

function hexOf(bytes) {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

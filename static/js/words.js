// The words in names of files and folders that say which half of a pair a picture is.

import { accepted } from "./accepted.js";

const { start, end } = accepted.halves;
export const HALF_OF = new Map([
  ...start.map((word) => [word, "start"]),
  ...end.map((word) => [word, "end"]),
]);
export const PROVIDER_SUFFIX = /^(?<index>.+)_(?<word>start|end)(?<number>)$/isu;
export const WORD_SUFFIX = suffixPattern([...HALF_OF.keys()]);

// cat_before, cat-before, cat.before 2, or before alone.
export function suffixPattern(words) {
  const longestFirst = words.toSorted((one, two) => two.length - one.length).join("|");
  return new RegExp(`^(?:(?<index>.*?)[ _.-]+)?(?<word>${longestFirst})[ _-]?(?<number>\\d*)$`, "isu");
}

// start or end if words in the name mean one half, such as in “control_images”; else empty.
export function halfOfWords(name) {
  const words = name.toLowerCase().match(/[a-z]+/g) ?? [];
  const halves = new Set(words.map((word) => HALF_OF.get(word)).filter(Boolean));
  return halves.size === 1 ? [...halves][0] : "";
}

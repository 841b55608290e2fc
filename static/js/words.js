// The words in names of files and folders that say which half of a pair a picture is.

import { accepted } from "./accepted.js";

const { start, end } = accepted.halves;
export const HALF_OF = new Map([
  ...start.map((word) => [word, "start"]),
  ...end.map((word) => [word, "end"]),
]);
// _start2 to _start99 are further inputs; a longer number, such as a year, is a part of some other name.
export const PROVIDER_SUFFIX =
  /^(?<index>.+)_(?<word>start|end)(?<number>(?<=start)(?:[2-9]|[1-9][0-9])|)$/isu;
export const WORD_SUFFIX = suffixPattern([...HALF_OF.keys()]);

// The last word of a name, after a separator, or letters after a digit: 01_1, cat.left, 01a.
export const LAST_WORD = /^(?<index>.*[^ _.-])(?:[ _.-]+|(?<=[0-9])(?=[A-Za-z]))(?<word>[^ _.-]{1,16})$/su;

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

// The two last words by which most names are pairs, the one of the input image first; null if there are none.
// A name is [key, last word], and the words of a pair have the same key. One pair alone is no sign.
export function twoEndings(names) {
  const byKey = new Map();
  for (const [key, word] of names) byKey.set(key, (byKey.get(key) ?? new Set()).add(word));
  const counts = new Map();
  for (const both of byKey.values()) {
    const pair = JSON.stringify([...both].toSorted());
    if (both.size === 2) counts.set(pair, (counts.get(pair) ?? 0) + 1);
  }
  const [pair, count] = [...counts].reduce((most, each) => (each[1] > most[1] ? each : most), ["[]", 0]);
  if (count < 2 || count * 2 <= byKey.size) return null;
  const [first, second] = JSON.parse(pair);
  const [half, other] = [HALF_OF.get(first), HALF_OF.get(second)];
  return half === "end" || (other === "start" && half !== "start") ? [second, first] : [first, second];
}

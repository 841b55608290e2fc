// Findings about a dataset, worded as the server words them, whose sentences are in the table.

import { accepted } from "./accepted.js";

const MAX_SHOWN = 80;
const UNPRINTABLE = /[\p{C}\p{Zl}\p{Zp}]/gu;

export class Findings {
  #names = new Map();

  // Adds a finding of a type about each of the names.
  add(type, names, detail = "") {
    const key = JSON.stringify([type, detail]);
    if (!this.#names.has(key)) this.#names.set(key, { type, detail, names: [] });
    this.#names.get(key).names.push(...names);
  }

  // The sentences of a level, problem or warning, but for types that `isDone` says are dealt with.
  sentences(level, isDone = () => false) {
    return this.#used()
      .filter(({ type }) => accepted.findings[type].level === level && !isDone(type))
      .map(({ type, names, detail }) => {
        const { one, many } = accepted.findings[type];
        return fill(names.length > 1 && many ? many : one, [listNames(names)], detail);
      });
  }

  has(types) {
    return this.#used().some(({ type }) => types.includes(type));
  }

  #used() {
    return [...this.#names.values()].filter(({ names }) => names.length);
  }
}

// Whether a copy of the pairs has not got what the finding is about: names, layout, encoding.
export function isSolvedByPacking(type) {
  return ["folder", "junk", "names", "captions", "layout"].includes(accepted.findings[type].repair);
}

export function questionOf(code, names, detail = "") {
  return fill(accepted.questions[code], names.map(quoted), detail);
}

// The name without invisible characters, shortened to a line, in quotes.
export function quoted(name) {
  const clean = Array.from(name.replace(UNPRINTABLE, "\ufffd"));
  return `“${clean.length <= MAX_SHOWN ? clean.join("") : `${clean.slice(0, MAX_SHOWN - 1).join("")}…`}”`;
}

// The first three names and how many more there are.
export function listNames(names) {
  const few = names.slice(0, 3).map(quoted);
  if (names.length > 3) return `${few.join(", ")} and ${(names.length - 3).toLocaleString("en")} more`;
  return few.length > 1 ? `${few.slice(0, -1).join(", ")} and ${few.at(-1)}` : few.join("");
}

// Python's form of a sentence: {} is the next text, {detail} the detail.
function fill(sentence, texts, detail) {
  const rest = [...texts];
  return sentence.replace(/\{(detail)?\}/g, (_, name) => (name ? detail : rest.shift()));
}

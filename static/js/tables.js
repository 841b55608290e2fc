// Reads tables of pairs, such as metadata.jsonl and metadata.csv of Hugging Face's ImageFolder.

import { accepted, isImage, isTable } from "./accepted.js";
import { join, nameOf, overlap, withParts } from "./paths.js";
import { halfOfWords } from "./words.js";

const LINES = /\r\n|[\n\r\v\f\u2028\u2029]/;

// The table of a dataset: one with a name that other tools give it, else the first of all.
export function firstTable(files) {
  const tables = files.filter(isTable);
  const { files: usual } = accepted.tables;
  return tables.find(({ stem, suffix }) => usual.includes((stem + suffix).toLowerCase())) ?? tables[0];
}

// { file, pairs, captions, missing, several, isGuess }: rows with both halves, captions by the path of an image, paths
// that are not there, and input images of a row with several.
export function readTable(file, text, images) {
  const table = { file, pairs: [], captions: new Map(), missing: [], several: [], isGuess: false };
  const byPath = new Map(images.map((image) => [image.path, image]));
  const used = new Set();
  for (const row of rowsOf(file, text)) {
    const named = [];
    for (const [key, path] of pathsOf(row)) {
      const image = byPath.get(join(file.folder, path)) ?? byPath.get(path);
      if (image) named.push([key, image]);
      else table.missing.push(path);
    }
    const { start, end, isGuess } = halvesOf(named);
    const both = new Set([...start, ...end]);
    for (const { path } of both) table.captions.set(path, captionOf(row));
    if (start.length > 1) {
      table.several.push(...start.slice(0, 3).map(({ path }) => path));
    } else if (start.length === 1 && end.length === 1 && both.size === 2 && !overlap(both, used)) {
      for (const image of both) used.add(image);
      table.pairs.push([start[0], end[0]]);
      table.isGuess ||= isGuess;
    }
  }
  return table;
}

// The first text of a row in a column for captions.
export function captionOf(row) {
  const texts = accepted.tables.captions.map((key) => row[key]);
  return texts.find((text) => typeof text === "string" && text.trim())?.trim() ?? "";
}

function rowsOf({ suffix }, text) {
  if (suffix.toLowerCase() !== ".jsonl") {
    const [columns, ...rows] = cellsOf(text);
    return rows.map((row) => Object.fromEntries(row.map((cell, at) => [columns[at], cell])));
  }
  return text.split(LINES).map(readLine).filter(isObject);
}

function readLine(line) {
  try {
    return JSON.parse(line);
  } catch {
    return null;
  }
}

function isObject(value) {
  return value !== null && typeof value === "object" && !Array.isArray(value);
}

// The rows of a CSV, separated by what its first line has most of. A cell in quotes may hold anything.
function cellsOf(text) {
  const [first] = text.split("\n", 1);
  const counts = [",", ";", "\t"].map((mark) => [mark, first.split(mark).length]);
  const [mark] = counts.reduce((most, each) => (each[1] > most[1] ? each : most));
  const cell = new RegExp(`(?:"((?:[^"]|"")*)"?|)([^${mark}\\r\\n]*)(${mark}|\\r\\n|\\r|\\n|$)`, "y");
  const rows = [[]];
  while (cell.lastIndex < text.length) {
    const [, quoted = "", plain, end] = cell.exec(text);
    rows.at(-1).push(quoted.replaceAll('""', '"') + plain);
    if (end !== mark) rows.push([]);
  }
  return rows.filter((row) => row.join(""));
}

// The columns of a row that name a picture, and its path. A list names several.
function* pathsOf(row) {
  for (const [key, value] of Object.entries(row)) {
    for (const path of [value].flat()) {
      if (typeof path !== "string") continue;
      const file = withParts({ path: path.trim() });
      if (isImage(file)) yield [key, file.path];
    }
  }
}

// The images of a row by half, and whether that is a guess, as no column and no folder says one. One that says
// none is the target image if the other is the input image, and the other way round.
function halvesOf(named) {
  const halves = { start: [], end: [] };
  const unknown = [];
  for (const [key, image] of named) {
    const half = halfOfColumn(key) || halfOfWords(nameOf(image.folder));
    if (half) halves[half].push(image);
    else unknown.push([key.toLowerCase().trim(), image]);
  }
  const isGuess = unknown.length > 1 && !halves.start.length && !halves.end.length;
  if (isGuess && !accepted.tables.general.includes(unknown[0][0])) unknown.reverse();
  for (const [, image] of unknown) {
    halves[halves.end.length && !halves.start.length ? "start" : "end"].push(image);
  }
  return { ...halves, isGuess };
}

function halfOfColumn(key) {
  const name = key.toLowerCase().trim();
  const { start, end } = accepted.tables;
  if (start.includes(name)) return "start";
  return halfOfWords(name) || (end.includes(name) ? "end" : "");
}

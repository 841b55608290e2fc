// The layouts of other tools: pairs by the ends of names, by two folders, or by metadata.jsonl.
// Each way answers { groups, note }; a group has key, index, and what was found of start, end and caption.

import { bare, folderOf, join, nameOf, PICTURE, stemOf } from "./paths.js";

const WORDS = {
  start: "start before control condition conditioning cond input source original",
  end: "end after target output edited result",
};
const HALF_OF = new Map(
  Object.entries(WORDS).flatMap(([half, words]) => words.split(" ").map((word) => [word, half])),
);
const SUFFIX = new RegExp(`^(?:(.*?)[ _.-]+)?(${[...HALF_OF.keys()].join("|")})$`, "i");
const PROMPT = /prompt|text|caption|instruction/i;
const MAX_METADATA = 32 * 1024 * 1024;

export async function recognise(files, pictures) {
  const texts = textsOf(files);
  const metadata = await readMetadata(files);
  const ways = [() => metadata.layout, () => bySuffix(pictures), () => byFolders(pictures, texts)];
  let best = { groups: [], note: "" };
  for (const way of ways) {
    if (complete(best)) break;
    const layout = way();
    if (complete(layout) || !best.groups.length) best = layout;
  }
  for (const group of best.groups) group.caption ||= captionOf(group, texts, metadata.prompts);
  return best;
}

// By their path without the ending.
export function textsOf(files) {
  return new Map(files.filter(({ path }) => /\.txt$/i.test(path)).map((file) => [bare(file.path), file]));
}

export function put(groups, key, half, file) {
  if (!groups.has(key)) groups.set(key, { key, index: nameOf(key) });
  groups.get(key)[half] ||= file;
}

function complete({ groups }) {
  return groups.some((group) => group.start && group.end);
}

// By the end of the name --------------------------------------------------------------------------------

function bySuffix(pictures) {
  const near = suffixGroups(pictures, join);
  const layout = complete(near) ? near : suffixGroups(pictures, (_, root) => root);
  const pair = layout.groups.find((group) => group.start && group.end);
  const names = pair && [pair.start, pair.end].map(({ path }) => nameOf(path));
  const foreign = names && !(/_start\.\w+$/i.test(names[0]) && /_end\.\w+$/i.test(names[1]));
  layout.note = foreign ? `“${names[0]}” is taken as before, “${names[1]}” as after, and so on.` : "";
  return layout;
}

// cat_start.png, cat-before.png, cat.input.png; or before.png in a folder of its own.
function suffixGroups(pictures, keyOf) {
  const groups = new Map();
  for (const file of pictures) {
    const match = SUFFIX.exec(stemOf(file.path));
    const folder = folderOf(file.path);
    if (match?.[1]) put(groups, keyOf(folder, match[1]), HALF_OF.get(match[2].toLowerCase()), file);
    else if (match && folder) put(groups, folder, HALF_OF.get(match[2].toLowerCase()), file);
  }
  return { groups: [...groups.values()] };
}

// By two folders ----------------------------------------------------------------------------------------

function byFolders(pictures, texts) {
  const folders = new Map();
  for (const file of pictures) {
    const folder = folderOf(file.path);
    if (!folders.has(folder)) folders.set(folder, new Map());
    folders.get(folder).set(stemOf(file.path), file);
  }
  const groups = new Map();
  const layout = { note: "", unclear: "" };
  for (const parent of new Set([...folders.keys()].map(folderOf))) {
    const near = [...folders.keys()].filter((folder) => folder && folderOf(folder) === parent);
    if (folders.has(parent)) near.push(parent);
    const sides = whichIsWhich(near, parent, folders, texts);
    if (sides.unclear) layout.unclear = unclearSentence(near);
    if (!sides.start) continue;
    for (const half of ["start", "end"]) {
      for (const [stem, file] of folders.get(sides[half].folder)) put(groups, join(parent, stem), half, file);
    }
    layout.note =
      `“${sides.start.name}” is taken as before and “${sides.end.name}” as after: ` +
      "two folders with the same names, as ai-toolkit and diffusers have them.";
  }
  return { ...layout, groups: [...groups.values()] };
}

function whichIsWhich(near, parent, folders, texts) {
  const sides = near.map((folder) => ({
    folder,
    name: nameOf(folder) || "the top folder",
    half: folder === parent ? undefined : halfOfFolder(nameOf(folder)),
  }));
  const stems = near.map((folder) => [...folders.get(folder).keys()]);
  if (sides.length === 2 && stems[0].some((stem) => folders.get(near[1]).has(stem))) {
    if (!sides.some(({ half }) => half)) {
      // Captions lie beside the after picture.
      const hasText = (folder) => (stem) => texts.has(join(folder, stem));
      const captioned = sides.filter(({ folder }, at) => stems[at].some(hasText(folder)));
      if (captioned.length !== 1) return { unclear: true };
      captioned[0].half = "end";
    }
    const known = sides.find(({ half }) => half);
    const other = sides.find((side) => side !== known);
    other.half ||= known.half === "start" ? "end" : "start";
  }
  const [start, end] = ["start", "end"].map((half) => sides.find((side) => side.half === half));
  return start && end ? { start, end } : {};
}

function halfOfFolder(name) {
  return HALF_OF.get(name.toLowerCase().replace(/[ _-]?images?$|s$/, ""));
}

function unclearSentence([one, two]) {
  return (
    `“${nameOf(one)}” and “${nameOf(two)}” hold the same names, but nothing says which is before. ` +
    "Name the folders “control” (before) and “target” (after) and drop them again."
  );
}

// By metadata.jsonl -------------------------------------------------------------------------------------

// Lines such as {"file_name": "target/01.png", "condition": "condition/01.png", "prompt": "add a hat"}.
async function readMetadata(files) {
  const byPath = new Map(files.map((file) => [file.path, file]));
  const groups = new Map();
  const prompts = new Map();
  for (const file of files) {
    if (nameOf(file.path).toLowerCase() !== "metadata.jsonl" || file.size > MAX_METADATA) continue;
    const folder = folderOf(file.path);
    const text = await (await file.open()).text();
    for (const [number, line] of text.split("\n").entries()) {
      const row = readRow(line, folder, byPath);
      if (row.start && row.end) {
        const key = bare(row.end);
        const own = groups.has(key) ? `${key}-${number + 1}` : key;
        for (const half of ["start", "end"]) put(groups, own, half, byPath.get(row[half]));
        groups.get(own).caption = row.prompt;
      } else if (row.prompt) {
        prompts.set(row.end || row.start, row.prompt);
      }
    }
  }
  const note = "The pairs and their captions come from metadata.jsonl.";
  return { layout: { groups: [...groups.values()], note }, prompts };
}

function readRow(line, folder, byPath) {
  const row = {};
  for (const [key, value] of fieldsOf(line)) {
    if (PICTURE.test(value)) {
      const half = key
        .toLowerCase()
        .split(/[ _-]/)
        .map((word) => HALF_OF.get(word))
        .find(Boolean);
      const path = value.replaceAll("\\", "/").replace(/^(?:\.?\/)+/, "");
      row[half || "end"] ||= byPath.has(join(folder, path)) ? join(folder, path) : path;
    } else if (PROMPT.test(key)) {
      row.prompt ||= value.trim();
    }
  }
  return row;
}

function fieldsOf(line) {
  try {
    return Object.entries(JSON.parse(line) ?? {}).filter(([, value]) => typeof value === "string");
  } catch {
    return [];
  }
}

function captionOf({ key, index, start, end }, texts, prompts) {
  const places = [key, ...[end, start].filter(Boolean).map(({ path }) => bare(path))];
  if (end) places.push(...["caption", "prompt"].map((name) => join(folderOf(end.path), name)));
  const place =
    places.find((name) => texts.has(name)) ??
    (key === index ? [...texts.keys()].find((name) => nameOf(name) === index) : undefined);
  return texts.get(place) || prompts.get(end?.path) || prompts.get(start?.path);
}

// Detects the layouts of other tools: pairs by the end of the name, by two folders, or by metadata.jsonl.
// Each function returns { groups, note }; a group has key, index, and those of start, end and caption that
// exist.

import { folderOf, IMAGE, join, nameOf, stemOf, withoutExtension } from "./paths.js";

const SIDES = ["start", "end"];
const WORDS = {
  start: "start before control condition conditioning cond input source original",
  end: "end after target output edited result",
};
const SIDE_OF = new Map(
  Object.entries(WORDS).flatMap(([side, words]) => words.split(" ").map((word) => [word, side])),
);
const SUFFIX = new RegExp(`^(?:(.*?)[ _.-]+)?(${[...SIDE_OF.keys()].join("|")})$`, "i");
const PROMPT = /prompt|text|caption|instruction/i;
const MAX_METADATA = 32 * 1024 * 1024;

// Returns the first layout with a whole pair, or else the first with any group.
export async function detectLayout(files, images) {
  const texts = captionFilesOf(files);
  const metadata = await readMetadata(files);
  const detectors = [() => metadata.layout, () => bySuffix(images), () => byFolders(images, texts)];
  let best = { groups: [], note: "" };
  for (const detect of detectors) {
    if (hasPair(best)) break;
    const layout = detect();
    if (hasPair(layout) || !best.groups.length) best = layout;
  }
  for (const group of best.groups) group.caption ||= captionOf(group, texts, metadata.prompts);
  return best;
}

// The .txt files, by their path without the extension.
export function captionFilesOf(files) {
  const texts = files.filter(({ path }) => /\.txt$/i.test(path));
  return new Map(texts.map((file) => [withoutExtension(file.path), file]));
}

export function put(groups, key, side, file) {
  if (!groups.has(key)) groups.set(key, { key, index: nameOf(key) });
  groups.get(key)[side] ||= file;
}

function hasPair({ groups }) {
  return groups.some((group) => group.start && group.end);
}

// By the end of the name ------------------------------------------------------------------------------------

function bySuffix(images) {
  const sameFolder = suffixGroups(images, join);
  const layout = hasPair(sameFolder) ? sameFolder : suffixGroups(images, (_, root) => root);
  const pair = layout.groups.find((group) => group.start && group.end);
  const names = pair && [pair.start, pair.end].map(({ path }) => nameOf(path));
  const isForeign = names && !(/_start\.\w+$/i.test(names[0]) && /_end\.\w+$/i.test(names[1]));
  layout.note = isForeign ? `“${names[0]}” is taken as before, “${names[1]}” as after, and so on.` : "";
  return layout;
}

// cat_start.png, cat-before.png, cat.input.png; or before.png in a folder per pair.
function suffixGroups(images, keyOf) {
  const groups = new Map();
  for (const file of images) {
    const match = SUFFIX.exec(stemOf(file.path));
    const folder = folderOf(file.path);
    if (match?.[1]) put(groups, keyOf(folder, match[1]), SIDE_OF.get(match[2].toLowerCase()), file);
    else if (match && folder) put(groups, folder, SIDE_OF.get(match[2].toLowerCase()), file);
  }
  return { groups: [...groups.values()] };
}

// By two folders --------------------------------------------------------------------------------------------

function byFolders(images, texts) {
  const folders = new Map();
  for (const file of images) {
    const folder = folderOf(file.path);
    if (!folders.has(folder)) folders.set(folder, new Map());
    folders.get(folder).set(stemOf(file.path), file);
  }
  const groups = new Map();
  const layout = { note: "", unclear: "" };
  for (const parent of new Set([...folders.keys()].map(folderOf))) {
    const siblings = [...folders.keys()].filter((folder) => folder && folderOf(folder) === parent);
    if (folders.has(parent)) siblings.push(parent);
    const sides = sidesOf(siblings, parent, folders, texts);
    if (sides.isUnclear) layout.unclear = unclearSentence(siblings);
    if (!sides.start) continue;
    for (const side of SIDES) {
      for (const [stem, file] of folders.get(sides[side].folder)) put(groups, join(parent, stem), side, file);
    }
    layout.note =
      `“${sides.start.name}” is taken as before and “${sides.end.name}” as after: ` +
      "two folders with the same names, as ai-toolkit and diffusers have them.";
  }
  return { ...layout, groups: [...groups.values()] };
}

// Which of the folders holds the start images and which the end images.
function sidesOf(siblings, parent, folders, texts) {
  const candidates = siblings.map((folder) => ({
    folder,
    name: nameOf(folder) || "the top folder",
    side: folder === parent ? undefined : sideOfFolder(nameOf(folder)),
  }));
  const stems = siblings.map((folder) => [...folders.get(folder).keys()]);
  if (candidates.length === 2 && stems[0].some((stem) => folders.get(siblings[1]).has(stem))) {
    if (!candidates.some(({ side }) => side)) {
      // Captions lie beside the end image.
      const hasText = (folder) => (stem) => texts.has(join(folder, stem));
      const captioned = candidates.filter(({ folder }, at) => stems[at].some(hasText(folder)));
      if (captioned.length !== 1) return { isUnclear: true };
      captioned[0].side = "end";
    }
    const known = candidates.find(({ side }) => side);
    const other = candidates.find((candidate) => candidate !== known);
    other.side ||= known.side === "start" ? "end" : "start";
  }
  const [start, end] = SIDES.map((side) => candidates.find((candidate) => candidate.side === side));
  return start && end ? { start, end } : {};
}

function sideOfFolder(name) {
  return SIDE_OF.get(name.toLowerCase().replace(/[ _-]?images?$|s$/, ""));
}

function unclearSentence([one, two]) {
  return (
    `“${nameOf(one)}” and “${nameOf(two)}” hold the same names, but nothing says which is before. ` +
    "Name the folders “control” (before) and “target” (after) and drop them again."
  );
}

// By metadata.jsonl -----------------------------------------------------------------------------------------

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
        const path = withoutExtension(row.end);
        const key = groups.has(path) ? `${path}-${number + 1}` : path;
        for (const side of SIDES) put(groups, key, side, byPath.get(row[side]));
        groups.get(key).caption = row.prompt;
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
    if (IMAGE.test(value)) {
      const words = key.toLowerCase().split(/[ _-]/);
      const side = words.map((word) => SIDE_OF.get(word)).find(Boolean);
      const path = value.replaceAll("\\", "/").replace(/^(?:\.?\/)+/, "");
      row[side || "end"] ||= byPath.has(join(folder, path)) ? join(folder, path) : path;
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
  const paths = [key, ...[end, start].filter(Boolean).map(({ path }) => withoutExtension(path))];
  if (end) paths.push(...["caption", "prompt"].map((name) => join(folderOf(end.path), name)));
  const path =
    paths.find((name) => texts.has(name)) ??
    (key === index ? [...texts.keys()].find((name) => nameOf(name) === index) : undefined);
  return texts.get(path) || prompts.get(end?.path) || prompts.get(start?.path);
}

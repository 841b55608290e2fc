// Finds the pairs and captions among the chosen files by their names, and puts into sentences what is wrong.
// Pure. A file is anything with path, size, open() and head(count): a member of a ZIP or a file on the disk.

import { captionFilesOf, detectLayout, put } from "./layouts.js";
import {
  compareNaturally,
  folderOf,
  IMAGE,
  isJunk,
  join,
  listNames,
  nameOf,
  stemOf,
  withoutExtension,
} from "./paths.js";

const PROVIDER_NAME = /^(.+)_(start|end)$/i;
const PEERS = "Named as fal and Replicate expect, which works here, too.";
const MAX_FILES = 20_000;
const FEW = 5;

// Reads a ZIP that is sent as it is, exactly as the portal's own check will. Without pairs by the provider's
// names, `isForeign` says that the ZIP has another tool's layout and must be packed again.
export async function readZip(members) {
  const files = members.filter(({ path }) => !isJunk(path));
  const images = files.filter(({ path }) => IMAGE.test(path));
  const texts = captionFilesOf(files);
  const groups = new Map();
  for (const file of images) {
    const match = PROVIDER_NAME.exec(stemOf(file.path));
    if (match) put(groups, join(folderOf(file.path), match[1]), match[2].toLowerCase(), file);
  }
  for (const group of groups.values()) {
    const paths = [group.end, group.start].filter(Boolean).map(({ path }) => withoutExtension(path));
    group.caption = [group.key, ...paths].map((path) => texts.get(path)).find(Boolean);
  }
  const result = summarize(files, images, [...groups.values()]);
  const isEncrypted = members.some((member) => member.encrypted);
  if (isEncrypted) result.problems.unshift("The ZIP has a password. Pack it again without one.");
  if (!groups.size && images.length && !isEncrypted) {
    const other = await readFiles(members);
    if (other.pairs.length || other.isUnclear) return { ...other, isForeign: !other.isUnclear };
  }
  result.warnings.push(...zipWarnings(members, files));
  const isNumbered = result.pairs.every(({ index }) => /^\d+$/.test(index));
  return { ...result, note: isNumbered ? "" : PEERS };
}

// Reads loose files and folders in any known layout. `isGuessed` says that a person should look at the pairs
// first.
export async function readFiles(all) {
  const files = all.filter(({ path }) => !isJunk(path));
  const images = files.filter(({ path }) => IMAGE.test(path));
  const { groups, note, unclear } = await detectLayout(files, images);
  const result = summarize(files, images, groups);
  const isUnclear = !groups.length && Boolean(unclear);
  if (isUnclear) result.problems = [unclear];
  return { ...result, note, isGuessed: Boolean(note), isUnclear };
}

function summarize(files, images, groups) {
  groups.sort((one, two) => compareNaturally(one.key, two.key));
  const pairs = groups.filter((group) => group.start && group.end);
  return {
    pairs,
    problems: problemsOf(files, images, groups),
    warnings: warningsOf(images, groups, pairs),
  };
}

function problemsOf(files, images, groups) {
  const problems = groups.filter(({ start, end }) => !start || !end).map(incompleteSentence);
  if (files.length > MAX_FILES) {
    const [count, limit] = [files.length, MAX_FILES].map((number) => number.toLocaleString("en"));
    problems.unshift(`That is ${count} files; ${limit} is the limit.`);
  }
  if (!files.length) problems.push("It is empty. Add the pairs and drop it again.");
  else if (!images.length) {
    problems.push("There are no pictures in it. It needs pairs such as 01_start.png and 01_end.png.");
  } else if (!groups.length) {
    problems.push("No picture is named as a pair. Name them 01_start.png (before) and 01_end.png (after).");
  }
  return problems;
}

function warningsOf(images, groups, pairs) {
  const warnings = [];
  const used = new Set(groups.flatMap((group) => [group.start, group.end]));
  const unused = images.filter((file) => !used.has(file)).map(({ path }) => nameOf(path));
  if (groups.length && unused.length) {
    warnings.push(`${listNames(unused)} will be ignored: not one of a pair.`);
  }
  if (pairs.length && pairs.length < FEW) {
    const only = pairs.length === 1 ? "Only 1 pair" : `Only ${pairs.length} pairs`;
    warnings.push(`${only}. The vendor’s own examples have ${FEW} or more.`);
  }
  return warnings;
}

function incompleteSentence({ index, start }) {
  return `“${index}” has no ${start ? "_end" : "_start"} picture. Each pair needs both halves.`;
}

function zipWarnings(members, files) {
  const folders = new Set(files.map(({ path }) => (path.includes("/") ? path.split("/")[0] : "")));
  const [folder] = folders;
  const warnings = [];
  if (folders.size === 1 && folder) {
    warnings.push(
      `The pictures lie in a folder “${folder}” inside the ZIP, where training may not find them. ` +
        "Drop the unpacked folder here instead; the portal packs it flat.",
    );
  }
  if (members.some(({ path }) => path.split("/").includes("__MACOSX"))) {
    warnings.push("The ZIP also holds a Mac’s hidden files (__MACOSX). They are ignored here.");
  }
  return warnings;
}

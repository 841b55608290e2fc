// What the chosen files are: pairs, captions, and in words what stands in the way. Pure; it judges by names.
// A file is anything with path, size, open() and head(count): a member of a ZIP or a file on the disk.

import { put, recognise, textsOf } from "./layouts.js";
import { bare, folderOf, isDirt, join, nameOf, natural, PICTURE, some, stemOf } from "./paths.js";

const VENDOR = /^(.+)_(start|end)$/i;
const MAX_FILES = 20_000;
const FEW = 5;

// A ZIP that is sent as it is: exactly what the portal's own check will see in it. Without pairs by the
// vendor's names, `foreign` says that another tool's layout was found, which has to be packed anew.
export async function readZip(members) {
  const files = members.filter(({ path }) => !isDirt(path));
  const pictures = files.filter(({ path }) => PICTURE.test(path));
  const texts = textsOf(files);
  const groups = new Map();
  for (const file of pictures) {
    const match = VENDOR.exec(stemOf(file.path));
    if (match) put(groups, join(folderOf(file.path), match[1]), match[2].toLowerCase(), file);
  }
  for (const group of groups.values()) {
    const beside = [group.end, group.start].filter(Boolean).map(({ path }) => bare(path));
    group.caption = [group.key, ...beside].map((place) => texts.get(place)).find(Boolean);
  }
  const found = conclude(files, pictures, [...groups.values()]);
  const locked = members.some((member) => member.encrypted);
  if (locked) found.problems.unshift("The ZIP has a password. Pack it again without one.");
  if (!groups.size && pictures.length && !locked) {
    const other = await readLoose(members);
    if (other.pairs.length || other.unclear) return { ...other, foreign: !other.unclear };
  }
  found.warnings.push(...wrapping(members, files));
  return { ...found, note: found.pairs.every(({ index }) => /^\d+$/.test(index)) ? "" : PEERS };
}

// Loose files and folders, in any layout that can be understood. `guessed`: a person should look at it first.
export async function readLoose(all) {
  const files = all.filter(({ path }) => !isDirt(path));
  const pictures = files.filter(({ path }) => PICTURE.test(path));
  const { groups, note, unclear } = await recognise(files, pictures);
  const found = conclude(files, pictures, groups);
  if (!groups.length && unclear) found.problems = [unclear];
  return { ...found, note, guessed: Boolean(note), unclear: !groups.length && Boolean(unclear) };
}

const PEERS = "Named as fal and Replicate ask for it. The same names are right here.";

function conclude(files, pictures, groups) {
  groups.sort((one, two) => natural(one.key, two.key));
  const pairs = groups.filter((group) => group.start && group.end);
  const problems = groups.filter(({ start, end }) => !start || !end).map(missing);
  if (files.length > MAX_FILES) {
    const [count, limit] = [files.length, MAX_FILES].map((number) => number.toLocaleString("en"));
    problems.unshift(`That is ${count} files; ${limit} is the limit.`);
  }
  if (!files.length) problems.push("There is nothing in it. Put the pairs into it and drop it again.");
  else if (!pictures.length) {
    problems.push("There are no pictures in it. It needs pairs such as 01_start.png and 01_end.png.");
  } else if (!groups.length) {
    problems.push("No picture is named as a pair. Name them 01_start.png (before) and 01_end.png (after).");
  }
  const used = new Set(groups.flatMap((group) => [group.start, group.end]));
  const strangers = pictures.filter((file) => !used.has(file)).map(({ path }) => nameOf(path));
  const warnings = [];
  if (groups.length && strangers.length) {
    warnings.push(`${some(strangers)} will be ignored: not one of a pair.`);
  }
  if (pairs.length && pairs.length < FEW) {
    const only = pairs.length === 1 ? "Only 1 pair" : `Only ${pairs.length} pairs`;
    warnings.push(`${only}. The vendor’s own examples have ${FEW} or more.`);
  }
  return { pairs, problems, warnings };
}

const missing = ({ index, start }) =>
  `“${index}” has no ${start ? "_end" : "_start"} picture. Each pair needs both halves.`;

function wrapping(members, files) {
  const tops = new Set(files.map(({ path }) => (path.includes("/") ? path.split("/")[0] : "")));
  const [top] = tops;
  const sentences = [];
  if (tops.size === 1 && top) {
    sentences.push(
      `The pictures lie in a folder “${top}” inside the ZIP, where the trainer may not find them. ` +
        "Drop the unpacked folder here instead; it is packed without that layer.",
    );
  }
  if (members.some(({ path }) => path.split("/").includes("__MACOSX"))) {
    sentences.push("The ZIP also holds a Mac’s hidden files (__MACOSX). They are ignored here.");
  }
  return sentences;
}

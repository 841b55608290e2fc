// Finds the pairs and captions among the chosen files by their names; every other file is named. A file is
// anything with path, size, open() and head(count): a member of a ZIP or a file on the disk.
// The same rules as finetune_portal/datasets/checker/layouts.py, which tests/e2e/test_same_pairs.py compares.

import { accepted, fold, isCaption, isImage, isNote } from "./accepted.js";
import { CaptionFiles } from "./caption-files.js";
import { readTableText } from "./captions.js";
import { Findings, questionOf, quoted } from "./findings.js";
import { imagesOf } from "./images.js";
import { detectLayout, PROVIDERS } from "./layouts.js";
import { compareNaturally, join, junkPart, withoutSuffix, withParts } from "./paths.js";
import { firstTable, readTable } from "./tables.js";

// { pairs, findings, questions, isProviders, isGuess }. A pair has index, start, end, the input images from
// _start2 on as `further`, and captionFile or caption.
export async function readPairs(all) {
  for (const file of all) withParts(file);
  const files = all.filter(({ path }) => !junkPart(path));
  const images = files.filter(isImage);
  const tableFile = firstTable(files);
  const table = tableFile && readTable(tableFile, await readTableText(tableFile), images);
  const layout = detectLayout(files, table);
  const arrangement = arrange(files, layout, table);
  const findings = new Findings();
  findings.add("junk", new Set(all.map(({ path }) => junkPart(path)).filter(Boolean)));
  if (!files.length) findings.add("empty", [""]);
  else if (!images.length) findings.add("no pictures", [""]);
  addLayoutFindings(findings, arrangement);
  const { pairs, name } = arrangement;
  const isProviders = PROVIDERS.includes(name);
  const halves = pairs.length ? [pairs[0].start.path, pairs[0].end.path] : [];
  const isGuess = layout.isGuess && pairs.length > 0;
  const questions = isGuess ? [questionOf("halves", halves)] : [];
  const guessed = pairs.flatMap(imagesOf).find(({ codePage }) => codePage);
  if (guessed) questions.push(questionOf("names", [guessed.path], guessed.codePage));
  return { pairs, findings, questions, isProviders, isGuess };
}

function arrange(files, layout, table) {
  const groups = [...layout.groups.values()].sort((one, two) => compareNaturally(one.key, two.key));
  const captions = new CaptionFiles(files, table);
  const lists = { "missing start": [], "missing end": [], gap: [], "many inputs": [] };
  const pairs = pairsOf(groups, new Set(layout.groups.keys()), captions, lists);
  const captionFiles = pairs.map(({ captionFile }) => captionFile).filter(Boolean);
  const isProviders = PROVIDERS.includes(layout.name);
  if (isProviders) lists["caption place"] = pairs.filter(isUnread).map(({ captionFile }) => captionFile.path);
  lists["second caption"] = captions.second(captionFiles);
  lists.duplicate = layout.duplicates;
  lists["unclear folders"] = pairs.length ? [] : layout.unclear;
  const several = groups.filter((group) => group.several.length);
  lists["several inputs"] = layout.several.length
    ? layout.several
    : several.flatMap((group) => [group.start, ...group.several]).map(({ path }) => path);
  const hasTableCaptions = pairs.some(({ caption }) => caption);
  if (hasTableCaptions && isProviders) lists["caption table"] = [table.file.path];
  const name = hasTableCaptions && !isProviders ? "metadata" : layout.name;
  const arrangement = { name, pairs, groups, lists, table };
  listUnused(files, captionFiles, hasTableCaptions, arrangement);
  return arrangement;
}

function pairsOf(groups, keys, captions, lists) {
  const counts = Map.groupBy(groups, ({ index }) => index);
  const pairs = [];
  for (const group of groups) {
    const { start, end } = group;
    const isUnique = counts.get(group.index).length === 1;
    const [{ folder }] = imagesIn(group);
    const index = isUnique ? group.index : join(folder, group.index);
    if (!start || !end) {
      lists[start ? "missing end" : "missing start"].push(index);
      continue;
    }
    const captionFile = captions.fileOf(group, keys);
    const caption = captionFile ? "" : captions.inTable(group);
    const numbers = [...group.further.keys()].sort((one, two) => one - two);
    const further = numbers.map((number) => group.further.get(number));
    pairs.push({ key: group.key, index, start, end, further, captionFile, caption });
    if (Math.max(1, ...numbers) > numbers.length + 1) lists.gap.push(index);
    if (1 + numbers.length > accepted.limits.inputs) lists["many inputs"].push(index);
  }
  return pairs;
}

function imagesIn({ start, end, further, several }) {
  return [start, end, ...further.values(), ...several].filter(Boolean);
}

// Whether training cannot find the caption, which is not named like its pair.
function isUnread({ key, captionFile }) {
  const isUsual = captionFile?.suffix.toLowerCase() === accepted.captions.ending;
  return isUsual && fold(withoutSuffix(captionFile)) !== key;
}

function listUnused(files, captionFiles, hasTableCaptions, { name, pairs, groups, lists, table }) {
  const used = new Set(captionFiles);
  for (const image of groups.flatMap(imagesIn)) used.add(image);
  if (table && (name === "metadata" || hasTableCaptions)) {
    used.add(table.file);
    lists["missing in table"] = [...new Set(table.missing)];
  }
  const listed = new Set([...lists["second caption"], ...lists["several inputs"]]);
  const duplicates = new Set(lists.duplicate);
  const isListedWhole = !pairs.length && (lists["several inputs"].length || lists["unclear folders"].length);
  for (const file of files) {
    if (used.has(file) || listed.has(file.path) || duplicates.has(withoutSuffix(file))) continue;
    if (isListedWhole && isImage(file)) continue;
    const isText = isCaption(file) && !isNote(file);
    const kind = isImage(file) ? "unpaired" : isText ? "unused captions" : "unused";
    lists[kind] ??= [];
    lists[kind].push(file.path);
  }
}

function addLayoutFindings(findings, { name, pairs, groups, lists, table }) {
  const { unpaired = [], "several inputs": several, ...others } = lists;
  if (several.length) findings.add("several inputs", several, quoted(several[0]));
  for (const [key, names] of Object.entries(others)) findings.add(key, names);
  findings.add(groups.length ? "unpaired" : "no pairs", unpaired);
  if (!pairs.length) return;
  const [{ start, end }] = pairs;
  const images = groups.flatMap((group) => [group.start, group.end]).filter(Boolean);
  const folders = new Set(images.map(({ folder }) => folder));
  if (["folder", "folders"].includes(name)) findings.add("folder", [...folders].filter(Boolean).sort());
  else if (name === "metadata") findings.add("metadata", [table.file.path]);
  else if (name === "two folders") {
    findings.add(name, new Set(pairs.flatMap((pair) => [pair.start.folder || ".", pair.end.folder || "."])));
  } else if (["names", "guess"].includes(name)) findings.add(name, [start.path, end.path]);
}

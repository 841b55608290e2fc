// Detects the layout of pictures: the provider's names, a table, words at the end of names, two folders.
// The same rules as finetune_portal/datasets/checker/layouts.py, which tests/e2e/test_same_pairs.py compares.

import { accepted, fold, isCaption, isImage } from "./accepted.js";
import { folderOf, join, nameOf, overlap, withoutSuffix } from "./paths.js";
import {
  HALF_OF,
  halfOfWords,
  LAST_WORD,
  PROVIDER_SUFFIX,
  suffixPattern,
  twoEndings,
  WORD_SUFFIX,
} from "./words.js";

export const PROVIDERS = ["flat", "folder", "folders"];

// Groups of images by a key that the files of a pair share. A group has its key, index, start and end, as far
// as they exist. `further` are the input images from _start2 on by their number, `several` those that another
// layout numbers.
class Layout {
  groups = new Map();
  duplicates = [];
  unclear = []; // folders that do not say which is which
  several = [];
  isGuess = false;

  constructor(name = "unknown") {
    this.name = name;
  }

  get hasPair() {
    return [...this.groups.values()].some(({ start, end }) => start && end);
  }

  put(path, index, half, number, image) {
    const group = this.#group(path, index);
    if (!group[half]) group[half] = image;
    else if (number && half === "start") group.several.push(image);
    else this.duplicates.push(withoutSuffix(image));
  }

  putFurther(path, index, number, image) {
    const { further } = this.#group(path, index);
    if (further.has(number)) this.duplicates.push(withoutSuffix(image));
    else further.set(number, image);
  }

  #group(path, index) {
    const key = fold(path);
    if (!this.groups.has(key)) this.groups.set(key, groupOf(key, index));
    return this.groups.get(key);
  }
}

function groupOf(key, index, halves = {}) {
  return { key, index, ...halves, further: new Map(), several: [] };
}

// Returns the first layout with a whole pair, else the first with any image.
export function detectLayout(files, table) {
  const images = files.filter(isImage);
  const detectors = [
    () => bySuffix(images, PROVIDER_SUFFIX, HALF_OF, "flat"),
    () => byTable(table),
    () => bySuffix(images, WORD_SUFFIX, HALF_OF, "names"),
    () => bySuffix(images, WORD_SUFFIX, HALF_OF, "names", { isAcross: true }),
    () => byFolders(images, files),
    ...accepted.guesses.map((words) => () => byGuess(images, words)),
    () => byTwoEndings(images),
  ];
  let best = new Layout();
  for (const detect of detectors) {
    const layout = detect();
    if (layout.hasPair) return layout;
    const isEmpty = !best.groups.size && !best.unclear.length && !best.several.length;
    if (isEmpty && layout.name !== "guess") best = layout;
  }
  return best;
}

// By words at the end of the name; in a folder of its own, the word alone. `isAcross` ignores folders.
function bySuffix(images, pattern, halves, name, { isAcross = false } = {}) {
  const layout = new Layout(name);
  for (const image of images) {
    const { index, word, number } = pattern.exec(image.stem)?.groups ?? {};
    if (!word) continue;
    const lower = word.toLowerCase();
    if (number && !accepted.numbered.includes(lower.replace(/s+$/, ""))) continue;
    const half = halves.get(lower);
    if (name === "flat" && number) {
      layout.putFurther(join(image.folder, index), index, Number(number), image);
    } else if (index) layout.put(isAcross ? index : join(image.folder, index), index, half, number, image);
    else if (image.folder) layout.put(image.folder, nameOf(image.folder), half, number, image);
  }
  if (name === "flat") {
    const folders = new Set([...layout.groups.keys()].map(folderOf));
    const isFlat = [...folders].every((folder) => !folder);
    layout.name = isFlat ? "flat" : folders.size === 1 ? "folder" : "folders";
  }
  return layout;
}

function byGuess(images, [start, end]) {
  const halves = new Map([
    [start, "start"],
    [end, "end"],
  ]);
  const layout = bySuffix(images, suffixPattern([start, end]), halves, "guess");
  layout.isGuess = true;
  return layout;
}

// By any two last words that most of the names share, such as 01_1 and 01_2.
function byTwoEndings(images) {
  const layout = new Layout("guess");
  layout.isGuess = true;
  const names = images.flatMap((image) => {
    const { index, word } = LAST_WORD.exec(image.stem)?.groups ?? {};
    return word ? [{ image, key: join(image.folder, index), index, word: fold(word) }] : [];
  });
  const endings = twoEndings(names.map(({ key, word }) => [fold(key), word]));
  for (const { image, key, index, word } of names) {
    const at = endings?.indexOf(word) ?? -1;
    if (at >= 0) layout.put(key, index, at ? "end" : "start", "", image);
  }
  return layout;
}

function byTable(table) {
  const layout = new Layout("metadata");
  for (const [at, [start, end]] of (table?.pairs ?? []).entries()) {
    const key = String(at + 1).padStart(6, "0");
    layout.groups.set(key, groupOf(key, String(at + 1).padStart(2, "0"), { start, end }));
  }
  layout.several = table?.several ?? [];
  layout.isGuess = table?.isGuess ?? false;
  return layout;
}

// By two folders beside each other, or one in the other, with the same names.
function byFolders(images, files) {
  const layout = new Layout("two folders");
  const byFolder = Map.groupBy(images, ({ folder }) => folder);
  const stemsOf = (folder) => new Set(byFolder.get(folder).map(({ stem }) => fold(stem)));
  for (const parent of new Set([...byFolder.keys()].filter(Boolean).map(folderOf))) {
    const siblings = [...byFolder.keys()].filter((each) => each && folderOf(each) === parent);
    const stems = new Map(siblings.map((each) => [each, stemsOf(each)]));
    if (byFolder.has(parent)) {
      const own = stemsOf(parent);
      if ([...stems.values()].some((each) => overlap(own, each))) {
        siblings.push(parent);
        stems.set(parent, own);
      }
    }
    for (const [half, folder] of Object.entries(halvesOf(siblings, stems, files, layout))) {
      for (const image of byFolder.get(folder)) {
        layout.put(join(parent, image.stem), image.stem, half, "", image);
      }
    }
  }
  return layout;
}

// The folder of each half: by words in the names, by the other one, or by where the captions lie.
function halvesOf(siblings, stems, files, layout) {
  const isAlike = (one, two) => overlap(stems.get(one), stems.get(two));
  const half = (folder) => halfOfWords(nameOf(folder));
  let [starts, ends, others] = ["start", "end", ""].map((side) =>
    siblings.filter((each) => half(each) === side),
  );
  const known = starts.length ? starts : ends;
  if (!(starts.length && ends.length) && known.length === 1) {
    const paired = others.filter((each) => isAlike(each, known[0]));
    if (ends.length || paired.length === 1) (starts.length ? ends : starts).push(...paired);
  } else if (!known.length && others.length === 2 && isAlike(...others)) {
    ends = captionedFolders(others, stems, files);
    if (ends.length !== 1) {
      layout.unclear.push(...others.map((each) => each || "."));
      return {};
    }
    starts = others.filter((each) => each !== ends[0]);
    layout.isGuess = true; // captions lie beside the target image
  }
  if (ends.length === 1 && starts.length > 1 && starts.every((each) => isAlike(each, ends[0]))) {
    layout.several.push(...starts);
    return {};
  }
  return starts.length === 1 && ends.length === 1 ? { start: starts[0], end: ends[0] } : {};
}

function captionedFolders(folders, stems, files) {
  const captions = new Set(files.filter(isCaption).map((file) => fold(withoutSuffix(file))));
  return folders.filter((folder) =>
    [...stems.get(folder)].some((stem) => captions.has(fold(join(folder, stem)))),
  );
}

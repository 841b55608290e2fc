// Finds the caption of a pair by its name: a file, or a row of the table.

import { accepted, captionEndings, fold, isCaption } from "./accepted.js";
import { join, nameOf, withoutSuffix } from "./paths.js";

const rank = ({ suffix }) => captionEndings.indexOf(suffix.toLowerCase());

export class CaptionFiles {
  constructor(files, table) {
    const texts = files.filter(isCaption).sort((one, two) => rank(one) - rank(two));
    this.byPath = Map.groupBy(texts, (file) => fold(withoutSuffix(file)));
    this.byStem = Map.groupBy(texts, ({ stem }) => fold(stem));
    this.table = table;
  }

  // Named like the pair, like its end or start, or alone in its folder: of several the one with the usual
  // ending, then in this order. `keys` are those of all pairs, each of which has its own caption.
  fileOf({ key, start, end }, keys) {
    const paths = [key, ...[end, start].map((half) => fold(withoutSuffix(half)))];
    if (key === fold(end.folder)) {
      paths.push(...accepted.captions.names.map((name) => fold(join(end.folder, name))));
    }
    const own = paths.filter((path) => path === key || !keys.has(path));
    const files = own.flatMap((path) => this.byPath.get(path) ?? []);
    if (files.length) return files.reduce((best, file) => (rank(file) < rank(best) ? file : best));
    const elsewhere = this.byStem.get(nameOf(key)) ?? [];
    return new Set(elsewhere.map(({ folder }) => folder)).size === 1 ? elsewhere[0] : undefined;
  }

  inTable({ start, end }) {
    const texts = this.table?.captions ?? new Map();
    return texts.get(end.path) || texts.get(start.path) || "";
  }

  // Captions that are not read, because their pair has another one, which is `used`.
  second(used) {
    return used.flatMap((file) =>
      this.byPath
        .get(fold(withoutSuffix(file)))
        .filter((other) => other !== file)
        .map(({ path }) => path),
    );
  }
}

// Takes paths of files apart, and sorts them.

import { accepted } from "./accepted.js";

export const nameOf = (path) => path.slice(path.lastIndexOf("/") + 1);
export const folderOf = (path) => path.slice(0, Math.max(0, path.lastIndexOf("/")));
export const join = (folder, name) => (folder ? `${folder}/${name}` : name);

// Adds a plain path in composed letters and its parts to a file: “a/b.txt” has the folder a, the stem b and
// the suffix .txt.
export function withParts(file) {
  const parts = file.path.normalize("NFC").replaceAll("\\", "/").split("/");
  const path = parts.filter((part) => part && part !== ".").join("/");
  const name = nameOf(path);
  const dot = name.lastIndexOf(".");
  const end = dot > 0 && dot < name.length - 1 ? dot : name.length;
  return Object.assign(file, {
    path,
    folder: folderOf(path),
    stem: name.slice(0, end),
    suffix: name.slice(end),
  });
}

export const withoutSuffix = ({ folder, stem }) => join(folder, stem);

// The part of a path that a system or file manager added, such as __MACOSX; else empty.
export function junkPart(path) {
  const { files, folders } = accepted.junk;
  const parts = path.split("/");
  if (files.includes(parts.at(-1).toLowerCase())) return parts.at(-1);
  return parts.find((part) => part.startsWith(".") || folders.includes(part.toLowerCase())) ?? "";
}

export function compareNaturally(one, two) {
  const [parts, others] = [one, two].map((text) => text.split(/(\d+)/));
  for (let at = 0; at < Math.min(parts.length, others.length); at += 1) {
    const [part, other] = [parts[at], others[at]];
    const difference = at % 2 ? part - other : (part > other) - (part < other);
    if (difference) return difference;
  }
  return parts.length - others.length;
}

export function overlap(one, two) {
  return [...one].some((each) => two.has(each));
}

// Takes paths and names of files apart. Pure.

export const IMAGE = /\.(?:jpe?g|png|webp|gif|bmp|tiff?|heic|heif|avif)$/i;

export const nameOf = (path) => path.slice(path.lastIndexOf("/") + 1);
export const folderOf = (path) => path.slice(0, Math.max(0, path.lastIndexOf("/")));
export const stemOf = (path) => nameOf(path).replace(/\.[^.]*$/, "");
export const join = (folder, name) => (folder ? `${folder}/${name}` : name);
export const withoutExtension = (path) => join(folderOf(path), stemOf(path));
export const compareNaturally = new Intl.Collator("en", { numeric: true }).compare;

const JUNK_FILES = ["thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r"];
const JUNK_FOLDERS = [
  "__macosx",
  "meta-inf",
  "@eadir",
  "#recycle",
  "$recycle.bin",
  "system volume information",
];

// Files that systems and archivers leave behind; the portal's own check ignores the same ones.
export function isJunk(path) {
  const parts = path.toLowerCase().split("/");
  const isHidden = (part) => part.startsWith(".") && part !== "." && part !== "..";
  return (
    JUNK_FILES.includes(parts.at(-1)) || parts.some((part) => JUNK_FOLDERS.includes(part) || isHidden(part))
  );
}

// The first three names in quotes, and how many more there are.
export function listNames(names) {
  const shown = names.slice(0, 3).map((name) => `“${name}”`);
  return names.length <= 3 ? shown.join(", ") : `${shown.join(", ")} and ${names.length - 3} more`;
}

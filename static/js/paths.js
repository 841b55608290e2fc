// Paths and names of files as the other modules take them apart. Pure.

export const PICTURE = /\.(?:jpe?g|png|webp|gif|bmp|tiff?|heic|heif|avif)$/i;

export const nameOf = (path) => path.slice(path.lastIndexOf("/") + 1);
export const folderOf = (path) => path.slice(0, Math.max(0, path.lastIndexOf("/")));
export const stemOf = (path) => nameOf(path).replace(/\.[^.]*$/, "");
export const join = (folder, name) => (folder ? `${folder}/${name}` : name);
export const bare = (path) => join(folderOf(path), stemOf(path));
export const natural = new Intl.Collator("en", { numeric: true }).compare;

const DIRT_FILES = ["thumbs.db", "ehthumbs.db", "desktop.ini", "icon\r"];
const DIRT_FOLDERS = [
  "__macosx",
  "meta-inf",
  "@eadir",
  "#recycle",
  "$recycle.bin",
  "system volume information",
];

// What systems and zippers leave behind, as the portal's own check knows it.
export function isDirt(path) {
  const parts = path.toLowerCase().split("/");
  const isHidden = (part) => part.startsWith(".") && part !== "." && part !== "..";
  return (
    DIRT_FILES.includes(parts.at(-1)) || parts.some((part) => DIRT_FOLDERS.includes(part) || isHidden(part))
  );
}

export function some(names) {
  const shown = names.slice(0, 3).map((name) => `“${name}”`);
  return names.length <= 3 ? shown.join(", ") : `${shown.join(", ")} and ${names.length - 3} more`;
}

// The files that a person dropped or chose, as a flat list: folders are read to the bottom.

export function filesOfInput(input) {
  return Array.from(input.files, (file) => new LocalFile(file, file.webkitRelativePath || file.name));
}

// Reads the entries before the first await, because the browser empties the drop's data after it.
export async function filesOfDrop(dataTransfer) {
  const entries = Array.from(dataTransfer.items, (item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.length) return Array.from(dataTransfer.files, (file) => new LocalFile(file, file.name));
  const files = [];
  while (entries.length) {
    const entry = entries.pop();
    if (entry.isDirectory) entries.push(...(await childrenOf(entry)));
    else files.push(new LocalFile(await promiseOf(entry, "file"), entry.fullPath.replace(/^\//, "")));
  }
  return files;
}

class LocalFile {
  constructor(file, path) {
    this.file = file;
    this.path = path;
    this.size = file.size;
  }

  async open() {
    return this.file;
  }

  async head(count) {
    return new Uint8Array(await this.file.slice(0, count).arrayBuffer());
  }
}

// A folder lists its content in portions, until an empty one.
async function childrenOf(folder) {
  const reader = folder.createReader();
  const children = [];
  for (;;) {
    const portion = await promiseOf(reader, "readEntries");
    if (!portion.length) return children;
    children.push(...portion);
  }
}

function promiseOf(entry, method) {
  return new Promise((resolve, reject) => entry[method](resolve, reject));
}

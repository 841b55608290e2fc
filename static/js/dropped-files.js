// What a person dropped or chose, as a flat list of files: folders are walked to the bottom.

export function fromInput(input) {
  return Array.from(input.files, (file) => new Chosen(file, file.webkitRelativePath || file.name));
}

// The entries must be asked for before the first await: afterwards the drop's data is gone.
export async function fromDrop(transfer) {
  const entries = Array.from(transfer.items, (item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.length) return Array.from(transfer.files, (file) => new Chosen(file, file.name));
  const files = [];
  while (entries.length) {
    const entry = entries.pop();
    if (entry.isDirectory) entries.push(...(await childrenOf(entry)));
    else files.push(new Chosen(await ask(entry, "file"), entry.fullPath.replace(/^\//, "")));
  }
  return files;
}

class Chosen {
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

// A folder tells its content in portions; an empty one is the end.
async function childrenOf(folder) {
  const reader = folder.createReader();
  const children = [];
  for (;;) {
    const portion = await ask(reader, "readEntries");
    if (!portion.length) return children;
    children.push(...portion);
  }
}

function ask(entry, method) {
  return new Promise((done, failed) => entry[method](done, failed));
}

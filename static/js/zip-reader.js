// Reads the central directory at the end of a ZIP, without the rest of the file, and opens members as blobs.
// Supports zip64, data descriptors, comments, bytes before the ZIP, and names in UTF-8 or an old code page.

import { quoted } from "./findings.js";
import { decodeNames } from "./zip-names.js";

const END_RECORD = 0x06054b50;
const END64_RECORD = 0x06064b50;
const END64_LOCATOR = 0x07064b50;
const DIRECTORY_ENTRY = 0x02014b50;
const LOCAL_HEADER = 0x04034b50;
const ENCRYPTED = 0x1 | 0x40 | 0x2000;
const UTF8 = 0x800;
const MAX_DIRECTORY = 64 * 1024 * 1024;
const UNREADABLE = "This is not a readable ZIP file. Pack the pictures into a .zip and drop it again.";
const DAMAGED = "The ZIP is damaged or cut off. Pack the pictures again and drop the new file.";

export class ZipError extends Error {}

export async function readDirectory(file) {
  const { start, end, count, shift } = await findDirectory(file);
  const view = await viewOf(file, start, end);
  const members = [];
  let at = 0;
  for (let number = 0; number < count; number += 1) {
    if (at + 46 > view.byteLength || view.getUint32(at, true) !== DIRECTORY_ENTRY)
      throw new ZipError(DAMAGED);
    const sizes = [28, 30, 32].map((field) => view.getUint16(at + field, true));
    const next = at + 46 + sizes[0] + sizes[1] + sizes[2];
    if (next > view.byteLength) throw new ZipError(DAMAGED);
    members.push(new Member(file, view, at, sizes, shift));
    at = next;
  }
  await decodeNames(members);
  const files = members.filter(({ path }) => !/[\\/]$|^$/.test(path));
  for (const member of files) member.checkMethod();
  return files;
}

async function findDirectory(file) {
  const from = Math.max(0, file.size - 22 - 0xffff);
  const tail = await viewOf(file, from, file.size);
  const at = findEndRecord(tail);
  let record = from + at;
  let count = tail.getUint16(at + 10, true);
  let size = tail.getUint32(at + 12, true);
  let offset = tail.getUint32(at + 16, true);
  if (at >= 20 && tail.getUint32(at - 20, true) === END64_LOCATOR) {
    const candidates = [uint64(tail, at - 12), record - 76];
    const views = await Promise.all(candidates.map((position) => readEnd64(file, position)));
    const index = views.findIndex(Boolean);
    if (index < 0) throw new ZipError(DAMAGED);
    const view = views[index];
    record = candidates[index];
    [count, size, offset] = [uint64(view, 32), uint64(view, 40), uint64(view, 48)];
  }
  const start = record - size;
  if (start < 0 || start < offset || size > MAX_DIRECTORY) throw new ZipError(DAMAGED);
  return { start, end: record, count, shift: start - offset };
}

function findEndRecord(tail) {
  const candidates = [];
  for (let at = tail.byteLength - 22; at >= 0; at -= 1) {
    if (tail.getUint32(at, true) !== END_RECORD) continue;
    if (at + 22 + tail.getUint16(at + 20, true) === tail.byteLength) return at;
    candidates.push(at);
  }
  if (!candidates.length) throw new ZipError(UNREADABLE);
  return candidates[0];
}

async function readEnd64(file, at) {
  if (at < 0 || at + 56 > file.size) return null;
  const view = await viewOf(file, at, at + 56);
  return view.getUint32(0, true) === END64_RECORD ? view : null;
}

class Member {
  constructor(file, view, at, [nameSize, extraSize], shift) {
    const flags = view.getUint16(at + 8, true);
    this.file = file;
    this.isEncrypted = Boolean(flags & ENCRYPTED);
    this.isUtf8 = Boolean(flags & UTF8);
    this.method = view.getUint16(at + 10, true);
    this.rawName = bytesOf(view, at + 46, nameSize);
    this.extra = bytesOf(view, at + 46 + nameSize, extraSize);
    this.packed = view.getUint32(at + 20, true);
    this.size = view.getUint32(at + 24, true);
    this.offset = view.getUint32(at + 42, true);
    this.readZip64(view, at + 46 + nameSize, extraSize);
    this.offset += shift;
  }

  // zip64 holds, in this order, only the numbers that do not fit into 32 bits.
  readZip64(view, from, length) {
    const wanted = ["size", "packed", "offset"].filter((field) => this[field] === 0xffffffff);
    for (let at = from; wanted.length && at + 4 <= from + length; ) {
      const size = view.getUint16(at + 2, true);
      if (view.getUint16(at, true) === 1 && at + 4 + size <= from + length) {
        for (let field = at + 4; wanted.length && field + 8 <= at + 4 + size; field += 8) {
          this[wanted.shift()] = uint64(view, field);
        }
      }
      at += 4 + size;
    }
  }

  checkMethod() {
    const name = quoted(this.path);
    if (this.isEncrypted || this.method === 99) {
      throw new ZipError(`${name} has a password. Pack the pictures again without one.`);
    }
    if (this.method !== 0 && this.method !== 8) {
      throw new ZipError(
        `${name} is packed in a way that few programs can read. Pack again with the usual method, “Deflate”.`,
      );
    }
  }

  async open() {
    const data = await this.data();
    return this.method ? new Blob(await takeBytes(inflate(data), this.size)) : data;
  }

  async head(count) {
    const data = await this.data();
    const start = this.method ? new Blob(await takeBytes(inflate(data), count)) : data;
    return new Uint8Array(await start.slice(0, count).arrayBuffer());
  }

  async data() {
    const view = await viewOf(this.file, this.offset, this.offset + 30);
    if (view.byteLength < 30 || view.getUint32(0, true) !== LOCAL_HEADER) throw new ZipError(DAMAGED);
    const start = this.offset + 30 + view.getUint16(26, true) + view.getUint16(28, true);
    return this.file.slice(start, start + this.packed);
  }
}

function inflate(blob) {
  return blob.stream().pipeThrough(new DecompressionStream("deflate-raw"));
}

// Reads no more than the limit, whatever else the stream would give.
async function takeBytes(stream, limit) {
  const reader = stream.getReader();
  const chunks = [];
  for (let taken = 0; taken < limit; ) {
    const { done, value } = await reader.read();
    if (done) break;
    chunks.push(value);
    taken += value.length;
  }
  reader.cancel().catch(() => {});
  return chunks;
}

async function viewOf(file, from, to) {
  return new DataView(await file.slice(from, to).arrayBuffer());
}

function bytesOf(view, at, length) {
  return new Uint8Array(view.buffer, view.byteOffset + at, length);
}

function uint64(view, at) {
  return Number(view.getBigUint64(at, true));
}

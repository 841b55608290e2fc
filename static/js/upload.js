// The upload on the form: takes a ZIP, folders or loose files, shows what is in them, packs what is no ZIP,
// and sends it. Found by [data-upload]; without JavaScript the plain file input posts.

import { accepted, isCaption, isImage } from "./accepted.js";
import { checkPairs } from "./check-pairs.js";
import { NotAskedError } from "./code-pages.js";
import {
  announce,
  clearPreview,
  endTask,
  hidePreviewForVerdict,
  partsOf,
  removeDataset,
  resetDatasetStatus,
  selectDataset,
  setDataset,
  showDataset,
  showError,
  showUnfinished,
  showWays,
  zone,
} from "./drop-zone.js";
import { filesOfDrop, filesOfInput } from "./dropped-files.js";
import { isSolvedByPacking, quoted } from "./findings.js";
import { formatBytes, sentences } from "./format.js";
import { describeConversions, PackError, packPairs } from "./pack-zip.js";
import { readPairs } from "./pairs.js";
import { withParts } from "./paths.js";
import { CHUNK_SIZE, cancel, sendUnlessDuplicate } from "./send-upload.js";
import { suggestFromPairs, suggestPrompt } from "./suggest-prompt.js";
import * as preview from "./upload-preview.js";
import { readDirectory, ZipError } from "./zip-reader.js";

const UNREADABLE_DROP = "Nothing there could be read. Drop a ZIP, a folder, or pictures and captions.";
const UNREADABLE = "The files could not be read. Choose them again.";
// What a packed copy would lose, or keep by mistake: a person sees it before anything is sent.
const ASKED_ABOUT = [
  ...["unpaired", "unused", "unused captions", "second caption", "missing in table"],
  "placeholder",
];
const NOT_SENT = "Nothing was sent yet. Fix this and drop the files again.";
const NOT_CHECKED_HERE = "The portal checks them once the ZIP is there.";

class FilesError extends Error {}

function bind(root) {
  const earlier = zone.parts;
  const parts = partsOf(root);
  zone.parts = parts;
  for (const element of root.querySelectorAll("[data-upload-basic]")) element.hidden = true;
  for (const element of root.querySelectorAll("[data-upload-enhanced]")) element.hidden = false;
  parts.input.multiple = true;
  parts.input.removeAttribute("accept");
  for (const input of [parts.input, parts.folder]) {
    input.addEventListener("change", () => receiveFrom(input));
  }
  parts.select.addEventListener("change", () => takeSelected(parts.select));
  parts.change?.addEventListener("click", () => toggleWays(parts));
  parts.cancel.addEventListener("click", cancel);
  if (zone.task) adopt(earlier);
  else if (parts.input.files.length)
    receiveFrom(parts.input); // chosen before this script ran
  else if (!root.dataset.resumeUrl) showUnfinished();
  showWays();
}

// By the keyboard each arrow selects the next one: the ways stay until the select is left.
function takeSelected(select) {
  const isByKeyboard = select.matches(":focus-visible");
  setDataset(select.value, { isChanging: isByKeyboard });
  showDataset(select.value);
  if (isByKeyboard) select.addEventListener("blur", () => changeDataset(false), { once: true });
}

function changeDataset(isChanging) {
  zone.isChanging = isChanging;
  showWays();
}

function toggleWays({ ways, input }) {
  changeDataset(ways.hidden);
  if (!ways.hidden) input.focus();
}

function receiveFrom(input) {
  const files = filesOfInput(input);
  input.value = "";
  if (files.length) receive(files);
}

// Files may be dropped anywhere on the page.
function bindDrop() {
  const mark = (event, isOver) => {
    if (!event.dataTransfer?.types.includes("Files")) return false;
    event.preventDefault();
    zone.parts?.root.classList.toggle("is-over", isOver);
    return zone.parts?.root.isConnected;
  };
  window.addEventListener("dragenter", (event) => mark(event, true));
  window.addEventListener("dragover", (event) => mark(event, true));
  window.addEventListener("dragleave", (event) => event.relatedTarget || mark(event, false));
  window.addEventListener("drop", async (event) => {
    if (!mark(event, false)) return;
    const files = await filesOfDrop(event.dataTransfer).catch(() => []);
    if (files.length) receive(files);
    else showError(UNREADABLE_DROP);
  });
}

// The form came back with errors while files are on their way: the new drop zone goes on with them.
function adopt(earlier) {
  const { parts } = zone;
  parts.preview.replaceWith(earlier.preview);
  parts.preview = earlier.preview;
  parts.head.replaceWith(earlier.head);
  parts.head = earlier.head;
  parts.progress.hidden = earlier.progress.hidden;
  parts.text.textContent = earlier.text.textContent;
  parts.signIn.hidden = earlier.signIn.hidden;
  resetDatasetStatus();
}

async function receive(files) {
  const { parts } = zone;
  zone.task?.abort.abort();
  zone.task?.upload?.abort();
  const task = { abort: new AbortController(), chunkSize: CHUNK_SIZE };
  zone.task = task;
  showError("");
  parts.stopped.hidden = true;
  parts.progress.hidden = true;
  parts.duplicate.replaceChildren();
  if (!parts.root.dataset.resumeUrl) setDataset(""); // Start must not take an older one in their place
  resetDatasetStatus();
  clearPreview();
  preview.showHead(parts.head, { name: nameOf(files) });
  try {
    await readAndSend(files, task);
  } catch (error) {
    if (zone.task !== task) return;
    endTask();
    if (parts.preview.hidden) preview.clearHead(parts.head);
    const isKnown = [ZipError, FilesError, PackError].some((kind) => error instanceof kind);
    const notAsked =
      error instanceof NotAskedError && `${error.message} Nothing was sent. Choose the files again.`;
    showError(notAsked || (isKnown ? error.message : UNREADABLE));
  }
}

async function readAndSend(files, task) {
  const { signal } = task.abort;
  const zip = zipAmong(files);
  const contents = await readPairs(zip ? await directoryOf(zip) : files);
  if (signal.aborted) return;
  const describe = () => ({ ...contents, ...(zip ? describeZip(contents) : describePacking(contents)) });
  preview.show(zone.parts.preview, describe());
  const showHead = (result) =>
    preview.showHead(zone.parts.head, { name: nameOf(files), size: zip?.size, result });
  showHead(contents);
  if (zip) sendUnlessDuplicate(zip, task, {});
  const more = await checkPairs(contents, signal).catch((error) => {
    if (!zip || !(error instanceof NotAskedError)) throw error;
    showError(`${error.message} ${NOT_CHECKED_HERE}`);
    return [];
  });
  contents.questions.push(...more);
  if (signal.aborted) return;
  const result = describe();
  if (!zone.parts.preview.hidden) {
    preview.showFindings(zone.parts.preview, result);
    showHead(result);
  }
  suggestFromPairs(contents.pairs.map(({ text = "" }) => text.trim()));
  announce(sentences([preview.describeCount(result), ...result.problems]));
  if (zip) return;
  if (result.problems.length) throw new FilesError(NOT_SENT);
  const { isProviders, questions, findings } = contents;
  if (!isProviders || questions.length || findings.has(ASKED_ABOUT)) {
    const onSwap = () => showHead(result);
    await preview.askToPack(zone.parts.preview, result, { canSwap: !isProviders, onSwap });
  }
  if (zone.task !== task) return;
  await sendPacked(files, result.pairs, task);
}

// A ZIP goes as it is, and the server offers its repairs.
function describeZip({ findings }) {
  return { notes: [], problems: findings.sentences("problem"), warnings: findings.sentences("warning") };
}

// Loose files are packed by the provider's names in the provider's types, which solves some findings.
function describePacking({ pairs, findings, questions, isProviders, isGuess }) {
  const isSolved = (type) => isSolvedByPacking(type) || ["converted", "webp"].includes(type);
  const notes = [...questions];
  if (pairs.length && !isProviders && !isGuess) {
    const [{ start, end }] = pairs;
    notes.push(`${quoted(start.path)} is taken as before, ${quoted(end.path)} as after, and so on.`);
  }
  return {
    notes,
    problems: findings.sentences("problem", isSolved),
    warnings: [...findings.sentences("warning", isSolved), ...describeConversions(pairs)],
  };
}

// The one folder or file that was chosen, if it is one.
function rootOf(files) {
  const roots = new Set(files.map(({ path }) => path.split("/")[0]));
  const [first] = roots;
  return { first, isOne: roots.size === 1 };
}

function nameOf(files) {
  const { first, isOne } = rootOf(files);
  return isOne ? first.replace(/\.zip$/i, "") : `${files.length} files`;
}

function zipAmong(files) {
  const zips = files.filter(({ path }) => /\.zip$/i.test(path));
  if (zips.length > 1 && zips.length === files.length) throw new FilesError("Drop one ZIP at a time.");
  const [limit, count] = [accepted.limits.files, files.length].map((number) => number.toLocaleString("en"));
  if (files.length > accepted.limits.files)
    throw new FilesError(`That is ${count} files; ${limit} is the limit.`);
  if (files.length > 1) return null;
  const [{ file, path }] = files;
  const loose = withParts({ path });
  if (!zips.length && !isImage(loose) && !isCaption(loose)) {
    throw new FilesError(`“${file.name}” is not a ZIP. Pack the pictures into a .zip and drop it again.`);
  }
  return zips.length ? file : null;
}

async function directoryOf(file) {
  if (file.size === 0) throw new FilesError("The file is empty. Choose the ZIP again.");
  checkSize(file, "The ZIP");
  return readDirectory(file);
}

function checkSize(file, what) {
  const limit = Number(zone.parts.root.dataset.maxBytes);
  if (file.size <= limit) return;
  throw new FilesError(`${what} is ${formatBytes(file.size)}; ${formatBytes(limit)} is the limit.`);
}

async function sendPacked(files, pairs, task) {
  const { progress, bar } = zone.parts;
  const { first, isOne } = rootOf(files);
  const name = isOne ? `${first.replace(/\.zip$/i, "")}.zip` : `${pairs.length} pairs.zip`;
  const lastModified = Math.max(...files.map(({ file }) => file.lastModified));
  const { signal } = task.abort;
  const packing = `Packing ${pairs.length} pairs`;
  progress.hidden = false;
  bar.value = 0;
  zone.parts.text.textContent = packing;
  const onProgress = (done, total) => {
    zone.parts.text.textContent = `${packing} · ${formatBytes(done)} of ${formatBytes(total)}`;
  };
  const zip = await packPairs(pairs, { name, lastModified, signal, onProgress });
  if (signal.aborted) return;
  checkSize(zip, "Together that");
  const chosen = isOne ? `“${first}”` : `“${files[0].path}” and ${files.length - 1} more`;
  await sendUnlessDuplicate(zip, task, { chosen });
}

function bindAll() {
  const root = document.querySelector("[data-upload]");
  if (!root) return;
  if (zone.parts?.root === root) hidePreviewForVerdict();
  else bind(root);
  const { caption, allCaptions } = document.getElementById("dataset-status").dataset;
  if (caption !== undefined) suggestPrompt({ caption, isOptional: allCaptions !== undefined });
}

// What keeps Start from including the chosen files: a sentence, and where to answer it.
function obstacle() {
  const { preview, duplicate, progress } = zone.parts;
  const offer = preview.querySelector("[data-preview-offer]");
  if (!preview.hidden && !offer.hidden) return ["Answer the question about your files first.", offer];
  if (duplicate.childElementCount) return ["Say first which of the two to use.", duplicate];
  const isOnItsWay = zone.task && !zone.task.datasetId;
  return isOnItsWay ? ["Your files are still being read. Press Start again in a moment.", progress] : null;
}

document.addEventListener("htmx:confirm", (event) => {
  if (event.target.id !== "job-form" || !zone.parts) return;
  const [sentence, where] = obstacle() ?? [];
  if (!sentence) return;
  event.preventDefault();
  showError(`Nothing was started. ${sentence}`);
  zone.parts.error.scrollIntoView({ block: "center" });
  where.querySelector("button, a")?.focus({ preventScroll: true });
});

// Leaving the page would end an upload, so the browser asks first.
window.addEventListener("beforeunload", (event) => zone.task && event.preventDefault());
// The portal made a dataset for this form: from a public address, or a repaired copy.
document.addEventListener(
  "dataset-chosen",
  ({ detail }) => zone.parts && selectDataset(detail.id, detail.name),
);
document.addEventListener("dataset-refused", ({ detail }) => zone.parts && removeDataset(detail.id));
// Dropped on another page, which opened this form: drop-anywhere.js.
document.addEventListener("portal:files", ({ detail }) => receive(detail));
document.addEventListener("htmx:load", bindAll);
bindDrop();
bindAll();

// The drop zone: takes a ZIP, folders or loose files, shows what is in them, and sends a ZIP in pieces
// (tus 1.0) that resumes after a break. Found by [data-upload]; without it the plain file input posts.

import { examine } from "./check-pairs.js";
import { fromDrop, fromInput } from "./dropped-files.js";
import { twinOf } from "./duplicate.js";
import { inTime, inWords, pace } from "./format.js";
import { pack, Unpackable } from "./pack-zip.js";
import { readLoose, readZip } from "./pairs.js";
import { fingerprint, forget, unfinished } from "./resume-upload.js";
import * as preview from "./upload-preview.js";
import { BrokenZip, readDirectory } from "./zip-reader.js";

const PIECE = 8 * 1024 * 1024;
const SMALL_PIECE = 512 * 1024; // less than any proxy refuses by itself
const RETRIES = [0, 1000, 3000, 5000, 10000, 20000, 30000, 30000, 30000, 60000];

const TELL = "Ask an admin to let it take bodies of 8 MiB, in nginx by client_max_body_size.";
const UNSENT = "Nothing was sent yet. Put this right and drop the files again.";

class Refusal extends Error {}

let parts = null; // the drop zone on the page
let task = null; // what is being read, packed or sent: { abort, file, upload, pace, told }

function bind(zone) {
  const find = (name) => zone.querySelector(`[data-upload-${name}]`);
  const earlier = parts;
  parts = {
    zone,
    form: zone.closest("form"),
    input: zone.querySelector("input[type=file][name]"),
    folder: find("folder"),
    select: zone.querySelector("select[name=dataset]"),
    error: find("error"),
    progress: find("progress"),
    bar: find("progress").querySelector("progress"),
    text: find("text"),
    live: find("status"),
    stopped: find("stopped"),
    twin: find("duplicate"),
    local: zone.querySelector("[data-preview]"),
  };
  for (const element of zone.querySelectorAll("[data-upload-basic]")) element.hidden = true;
  for (const element of zone.querySelectorAll("[data-upload-enhanced]")) element.hidden = false;
  parts.input.multiple = true;
  parts.input.removeAttribute("accept");
  for (const input of [parts.input, parts.folder]) {
    input.addEventListener("change", () => takeFrom(input));
  }
  parts.select.addEventListener("change", () => showDataset(parts.select.value));
  find("cancel").addEventListener("click", cancel);
  bindDrop(zone);
  if (task) adopt(earlier);
  else if (parts.input.files.length)
    takeFrom(parts.input); // chosen before this script was there
  else showStopped();
}

function takeFrom(input) {
  const files = fromInput(input);
  input.value = "";
  if (files.length) receive(files);
}

function bindDrop(zone) {
  const over = (event, is) => {
    event.preventDefault();
    zone.classList.toggle("is-over", is);
  };
  zone.addEventListener("dragenter", (event) => over(event, true));
  zone.addEventListener("dragover", (event) => over(event, true));
  zone.addEventListener("dragleave", (event) => zone.contains(event.relatedTarget) || over(event, false));
  zone.addEventListener("drop", async (event) => {
    over(event, false);
    const files = await fromDrop(event.dataTransfer).catch(() => []);
    if (files.length) receive(files);
    else say("Nothing in that could be read. Drop a ZIP, a folder, or pictures and captions.");
  });
}

// The form came back with a refusal while files are on their way: go on in the new one.
function adopt(earlier) {
  parts.local.replaceWith(earlier.local);
  parts.local = earlier.local;
  parts.progress.hidden = earlier.progress.hidden;
  parts.text.textContent = earlier.text.textContent;
  emptyStatus();
}

async function receive(files) {
  task?.abort.abort();
  task?.upload?.abort();
  const mine = { abort: new AbortController(), piece: PIECE };
  task = mine;
  say("");
  parts.stopped.hidden = true;
  parts.progress.hidden = true;
  parts.twin.replaceChildren();
  emptyStatus();
  preview.clear(parts.local);
  try {
    await take(files, mine);
  } catch (error) {
    if (task !== mine) return;
    idle();
    const known = [BrokenZip, Refusal, Unpackable].some((kind) => error instanceof kind);
    say(known ? error.message : "The files could not be read. Choose them again.");
  }
}

async function take(files, mine) {
  const { signal } = mine.abort;
  const zip = theZip(files);
  const found = zip ? await readZip(await directoryOf(zip)) : await readLoose(files);
  if (signal.aborted) return;
  preview.show(parts.local, found);
  const asIs = zip && !found.foreign;
  if (asIs) sendUnlessKnown(zip, mine, {});
  const more = await examine(found.pairs, { packing: !asIs, signal });
  if (signal.aborted) return;
  for (const kind of ["problems", "warnings"]) found[kind].push(...more[kind]);
  if (!parts.local.hidden) preview.showSentences(parts.local, found);
  announce([preview.countOf(found), ...found.problems].join(". "));
  if (asIs) return;
  if (found.problems.length) throw new Refusal(UNSENT);
  if (found.guessed) await preview.agreed(parts.local, found);
  if (task !== mine) return;
  await sendPacked(files, found.pairs, mine);
}

function theZip(files) {
  const zips = files.filter(({ path }) => /\.zip$/i.test(path));
  if (zips.length > 1 && zips.length === files.length) throw new Refusal("Drop one ZIP at a time.");
  if (files.length > 1) return null;
  const [{ file }] = files;
  if (!zips.length && !/\.(?:jpe?g|png|webp|gif|bmp|avif|txt)$/i.test(file.name)) {
    throw new Refusal(`“${file.name}” is not a ZIP. Pack the pictures into a .zip and drop it again.`);
  }
  return zips.length ? file : null;
}

async function directoryOf(file) {
  const limit = Number(parts.zone.dataset.maxBytes);
  if (file.size === 0) throw new Refusal("The file is empty. Choose the ZIP again.");
  const [size, most] = [file.size, limit].map(inWords);
  if (file.size > limit) throw new Refusal(`The ZIP is ${size}; ${most} is the limit.`);
  return readDirectory(file);
}

async function sendPacked(files, pairs, mine) {
  const tops = new Set(files.map(({ path }) => path.split("/")[0]));
  const [top] = tops;
  const one = tops.size === 1;
  const name = one ? `${top.replace(/\.zip$/i, "")}.zip` : `${pairs.length} pairs.zip`;
  const lastModified = Math.max(...files.map(({ file }) => file.lastModified));
  const { signal } = mine.abort;
  parts.progress.hidden = false;
  parts.bar.value = 0;
  parts.text.textContent = `Packing ${pairs.length} pairs`;
  const onProgress = (done, total) => {
    parts.text.textContent = `Packing ${pairs.length} pairs · ${inWords(done)} of ${inWords(total)}`;
  };
  const packed = await pack(pairs, { name, lastModified, signal, onProgress });
  if (signal.aborted) return;
  const limit = Number(parts.zone.dataset.maxBytes);
  const [size, most] = [packed.size, limit].map(inWords);
  if (packed.size > limit) throw new Refusal(`Together that is ${size}; ${most} is the limit.`);
  await sendUnlessKnown(packed, mine, {
    chosen: one ? `“${top}”` : `“${files[0].path}” and ${files.length - 1} more`,
  });
}

// Sending -----------------------------------------------------------------------------------------------

// The same content may be in the library; then a person says whether it is to be sent again.
async function sendUnlessKnown(file, mine, { chosen }) {
  const offer = await twinOf(file, parts.zone.dataset.duplicateUrl);
  if (task !== mine) return;
  if (!offer) return send(file, mine, { chosen });
  idle();
  htmx.swap(parts.twin, offer, { swapStyle: "innerHTML" });
  const [use, anyway] = ["use", "upload"].map((name) => parts.twin.querySelector(`[data-duplicate-${name}]`));
  const { duplicateUse: id, name } = use.dataset;
  use.onclick = (event) => {
    event.preventDefault();
    parts.twin.replaceChildren();
    choose(id, name);
    showDataset(id);
  };
  anyway.onclick = () => {
    parts.twin.replaceChildren();
    task = mine;
    send(file, mine, { chosen });
  };
  announce(parts.twin.querySelector("p").textContent);
}

async function send(file, mine, { chosen }) {
  const upload = new tus.Upload(file, {
    endpoint: parts.zone.dataset.endpoint,
    chunkSize: mine.piece,
    retryDelays: RETRIES,
    metadata: { filename: file.name, ...(chosen && { chosen }) },
    headers: { "X-CSRFToken": token() },
    fingerprint: async () => fingerprint(parts.zone.dataset.person, file),
    removeFingerprintOnSuccess: true,
    onAfterResponse: (_, response) => {
      const id = response.getHeader("Dataset-Id");
      if (id && task === mine) choose(id, file.name);
      const moved = response.getHeader("Dataset-Moved");
      if (moved) mine.carried = moved - response.getHeader("Upload-Offset");
    },
    onProgress: (sent, total) => task === mine && showProgress(mine, sent, total),
    onSuccess: () => task === mine && finish(),
    onError: (error) =>
      task === mine && (isForSmallerPieces(error, mine) ? send(file, mine, { chosen }) : fail(error)),
  });
  Object.assign(mine, { file, upload, pace: pace(), both: pace(), carried: 0, told: 0 });
  showProgress(mine, 0, file.size);
  announce(`Uploading ${file.name}`);
  const [earlier] = await upload.findPreviousUploads();
  if (task !== mine) return;
  if (earlier) upload.resumeFromPreviousUpload(earlier);
  upload.start();
}

// The dataset exists as soon as the upload has begun, so the form can be sent while it runs.
function choose(id, name) {
  if (!parts.select.querySelector(`option[value="${id}"]`)) {
    parts.select.append(new Option(name.replace(/\.zip$/i, ""), id));
  }
  parts.select.value = id;
}

function showProgress(mine, sent, total) {
  parts.progress.hidden = false;
  // The way has two legs, and the second, on to the trainer, begins while the first runs.
  const [moved, all] = [sent + mine.carried, 2 * total];
  parts.bar.value = (100 * moved) / all;
  const [speed, both] = [mine.pace(sent), mine.both(moved)];
  const left = speed > 0 && both > 0 ? ` · ${inWords(speed)}/s · ${inTime((all - moved) / both)} left` : "";
  parts.text.textContent = `${mine.file.name} · ${inWords(sent)} of ${inWords(total)}${left}`;
  const quarter = Math.floor((4 * sent) / total);
  if (quarter > mine.told && quarter < 4) {
    mine.told = quarter;
    announce(`${25 * quarter} % uploaded`);
  }
}

function finish() {
  idle();
  announce("The upload is whole.");
  showDataset(parts.select.value, { keepPreview: true });
}

function cancel() {
  task?.abort.abort();
  task?.upload?.abort(true).catch(() => {});
  idle();
  parts.select.value = "";
  preview.clear(parts.local);
  announce("Cancelled.");
}

// A proxy in front of the portal may refuse what the portal would take.
function isForSmallerPieces({ originalResponse: answer }, mine) {
  if (answer?.getStatus() !== 413 || wordsOf(answer) || mine.piece === SMALL_PIECE) return false;
  mine.piece = SMALL_PIECE;
  say(
    `A proxy refuses pieces of ${inWords(PIECE)}. The upload goes on in smaller ones, more slowly. ${TELL}`,
  );
  return true;
}

function wordsOf(answer) {
  return answer.getHeader("Content-Type")?.startsWith("text/plain") && answer.getBody()?.trim();
}

function fail(error) {
  idle();
  const answer = error.originalResponse;
  const ours = answer && wordsOf(answer);
  parts.select.value = "";
  if (ours) say(ours);
  else if (answer?.getStatus() === 413)
    say(`A proxy refuses even pieces of ${inWords(SMALL_PIECE)}. ${TELL}`);
  else if (error.originalRequest) say("The connection was lost. Choose the same again: it goes on.");
  else say("The files have changed or are gone. Choose them again.");
}

function idle() {
  task = null;
  parts.progress.hidden = true;
}

// Words on the page -------------------------------------------------------------------------------------

async function showStopped() {
  const place = parts.stopped;
  const upload = await unfinished(parts.zone.dataset.person);
  if (!upload || task) return;
  const chosen = upload.metadata.chosen || `“${upload.metadata.filename}”`;
  const them = chosen.endsWith(" more") ? "them" : "it";
  place.hidden = false;
  const sentence = `${chosen} stopped at ${upload.percent} %: choose ${them} again to go on.`;
  place.querySelector("span").textContent = sentence;
  announce(sentence);
  place.querySelector("button").onclick = async () => {
    place.hidden = true;
    parts.input.focus();
    await forget(upload, { "X-CSRFToken": token() });
  };
}

function showDataset(id, { keepPreview = false } = {}) {
  if (!parts.zone.isConnected) return; // the form was sent; the job page shows the dataset now
  if (!keepPreview) preview.clear(parts.local);
  emptyStatus();
  if (!id) return;
  const address = parts.zone.dataset.statusUrl.replace("/0/", `/${id}/`);
  htmx.ajax("GET", address, { target: "#dataset-status", swap: "outerHTML" });
}

// A fresh element: the old one may still be asking the server every second.
function emptyStatus() {
  const fresh = document.createElement("div");
  fresh.id = "dataset-status";
  fresh.className = "upload-state";
  document.getElementById("dataset-status").replaceWith(fresh);
}

// The server's verdict is there: it speaks for the dataset from now on.
function yieldToVerdict() {
  const status = document.getElementById("dataset-status");
  if (status?.querySelector(".pairs, [data-tone=bad], [data-tone=good]")) preview.clear(parts.local);
}

function announce(sentence) {
  parts.live.textContent = sentence;
}

function say(sentence) {
  parts.error.textContent = sentence;
}

function token() {
  return JSON.parse(document.body.getAttribute("hx-headers") || "{}")["x-csrftoken"] || "";
}

function bindAll() {
  const zone = document.querySelector("[data-upload]");
  if (!zone) return;
  if (parts?.zone === zone) return yieldToVerdict();
  bind(zone);
}

// A file that misses the zone must not replace the page and the half-filled form.
for (const kind of ["dragover", "drop"]) {
  window.addEventListener(kind, (event) => {
    if (event.dataTransfer?.types.includes("Files")) event.preventDefault();
  });
}
// Leaving the page would end an upload; the browser asks first.
window.addEventListener("beforeunload", (event) => task && event.preventDefault());
// The portal made a dataset for this form: from a public address, or a repaired copy.
document.addEventListener("dataset-chosen", (event) => parts && choose(event.detail.id, event.detail.name));
document.addEventListener("htmx:load", bindAll);
bindAll();

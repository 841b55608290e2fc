// Sends a ZIP to the portal in chunks that resume after a break (tus 1.0), and shows how far it is.

import {
  announce,
  clearPreview,
  csrfToken,
  endTask,
  selectDataset,
  setDataset,
  showDataset,
  showError,
  showWays,
  zone,
} from "./drop-zone.js";
import { findDuplicate } from "./duplicate.js";
import { formatBytes, formatDuration, speedMeter } from "./format.js";
import { fingerprint, isDeleted } from "./resume-upload.js";
import { signedInAgain } from "./session.js";

export const CHUNK_SIZE = 8 * 1024 * 1024;
const SMALL_CHUNK_SIZE = 512 * 1024; // less than any proxy refuses by default
const RETRY_DELAYS = [0, 1000, 3000, 5000, 10000, 20000, 30000, 30000, 30000, 60000];
const AWAY = "The portal does not answer. The upload goes on by itself once it does.";
const PROXY_HINT = "Ask an admin to let it take bodies of 8 MiB, in nginx by client_max_body_size.";

// Where the library has the same content, a person says whether to send it again.
export async function sendUnlessDuplicate(file, task, { chosen }) {
  const { root, duplicate } = zone.parts;
  if (root.dataset.resumeUrl) return resume(file, task, root.dataset);
  const offer = await findDuplicate(file, root.dataset.duplicateUrl);
  if (zone.task !== task) return;
  if (!offer) return send(file, task, { chosen });
  endTask();
  htmx.swap(duplicate, offer, { swapStyle: "innerHTML" });
  showWays();
  const use = duplicate.querySelector("[data-duplicate-use]");
  const { duplicateUse: id, name } = use.dataset;
  use.onclick = (event) => {
    event.preventDefault();
    duplicate.replaceChildren();
    selectDataset(id, name);
    showDataset(id);
  };
  duplicate.querySelector("[data-duplicate-upload]").onclick = () => {
    duplicate.replaceChildren();
    zone.task = task;
    send(file, task, { chosen });
  };
  announce(duplicate.querySelector("p").textContent);
}

// Goes on with an upload that another browser may have begun.
function resume(file, task, { resumeUrl, resumeName, resumeSize }) {
  if (file.name === resumeName && file.size === Number(resumeSize)) return send(file, task, { resumeUrl });
  endTask();
  const size = formatBytes(Number(resumeSize));
  const chosen = `This is “${file.name}” with ${formatBytes(file.size)}`;
  showError(`${chosen}; the upload that stopped was “${resumeName}” with ${size}. Nothing was sent.`);
}

async function send(file, task, { chosen, resumeUrl }) {
  const { root } = zone.parts;
  const upload = new tus.Upload(file, {
    endpoint: root.dataset.endpoint,
    chunkSize: task.chunkSize,
    retryDelays: RETRY_DELAYS,
    metadata: { filename: file.name, ...(chosen && { chosen }) },
    headers: { "X-CSRFToken": csrfToken() },
    fingerprint: async () => fingerprint(zone.parts.root.dataset.person, file),
    removeFingerprintOnSuccess: true,
    onAfterResponse: (_, response) => {
      const id = response.getHeader("Dataset-Id");
      if (id && zone.task === task) {
        task.datasetId = id;
        selectDataset(id, file.name);
      }
      const bytesDone = response.getHeader("Dataset-Bytes-Done");
      if (bytesDone) task.bytesTransferred = bytesDone - response.getHeader("Upload-Offset");
    },
    onShouldRetry: (error) => {
      const status = error.originalResponse?.getStatus() ?? 0;
      const isWorthIt = !(status >= 400 && status < 500) || status === 409 || status === 423;
      if (isWorthIt && zone.task === task) zone.parts.text.textContent = AWAY;
      return isWorthIt;
    },
    onProgress: (sent, total) => zone.task === task && showProgress(task, sent, total),
    onSuccess: () => zone.task === task && finish(),
    onError: (error) => zone.task === task && onError(error, task, { chosen, resumeUrl }),
  });
  const meters = { sentMeter: speedMeter(), doneMeter: speedMeter() };
  Object.assign(task, { file, upload, ...meters, bytesTransferred: 0, quarter: 0 });
  showProgress(task, 0, file.size);
  announce(`Uploading ${file.name}`);
  const [earlier] = resumeUrl ? [{ uploadUrl: resumeUrl }] : await upload.findPreviousUploads();
  if (zone.task !== task) return;
  if (earlier) upload.resumeFromPreviousUpload(earlier);
  upload.start();
}

// Each byte counts twice, to the portal and on to the provider; the transfer begins while the upload runs.
function showProgress(task, sent, size) {
  const { progress, bar, text } = zone.parts;
  const [done, total] = [sent + task.bytesTransferred, 2 * size];
  const [sentSpeed, doneSpeed] = [task.sentMeter(sent), task.doneMeter(done)];
  const left = formatDuration((total - done) / doneSpeed);
  const speed = sentSpeed > 0 && doneSpeed > 0 ? ` · ${formatBytes(sentSpeed)}/s · ${left} left` : "";
  progress.hidden = false;
  bar.value = (100 * done) / total;
  text.textContent = `${task.file.name} · ${formatBytes(sent)} of ${formatBytes(size)}${speed}`;
  const quarter = Math.floor((4 * sent) / size);
  if (quarter > task.quarter && quarter < 4) {
    task.quarter = quarter;
    announce(`${25 * quarter} % uploaded`);
  }
}

function finish() {
  endTask();
  announce("Upload complete.");
  if (zone.parts.root.dataset.resumeUrl) return location.reload(); // the page of the dataset
  showDataset(zone.parts.select.value, { keepPreview: true });
}

export async function cancel() {
  const { abort, upload } = zone.task ?? {};
  const { root, stopped } = zone.parts;
  const isToDelete = !root.dataset.resumeUrl;
  abort?.abort();
  endTask();
  setDataset("");
  clearPreview();
  if (await isDeleted(() => upload?.abort(isToDelete), stopped)) announce("Cancelled.");
}

async function pauseUntilSignedIn(task) {
  const { progress, signIn } = zone.parts;
  progress.hidden = signIn.hidden = false;
  signIn.focus();
  await signedInAgain();
  if (zone.task !== task) return;
  zone.parts.signIn.hidden = true;
  announce(`You are signed in again. Uploading ${task.file.name}`);
  task.upload.options.headers["X-CSRFToken"] = csrfToken();
  task.upload.start();
}

// A proxy in front of the portal may refuse a chunk that the portal would take: then smaller ones are tried.
function onError(error, task, { chosen, resumeUrl }) {
  const response = error.originalResponse;
  if (response?.getStatus() === 401) return pauseUntilSignedIn(task);
  const isRefusedByProxy = response?.getStatus() === 413 && !portalMessage(response);
  if (isRefusedByProxy && task.chunkSize > SMALL_CHUNK_SIZE) {
    task.chunkSize = SMALL_CHUNK_SIZE;
    const size = formatBytes(CHUNK_SIZE);
    showError(
      `A proxy refuses chunks of ${size}. The upload continues in smaller ones, more slowly. ${PROXY_HINT}`,
    );
    send(task.file, task, { chosen, resumeUrl });
    return;
  }
  endTask();
  setDataset("");
  showError(describeError(error, response, isRefusedByProxy));
}

function describeError(error, response, isRefusedByProxy) {
  const message = response && portalMessage(response);
  if (message) return message;
  if (isRefusedByProxy)
    return `A proxy refuses even chunks of ${formatBytes(SMALL_CHUNK_SIZE)}. ${PROXY_HINT}`;
  if (error.originalRequest) return "The connection was lost. Choose the same files again to resume.";
  return "The files have changed or are gone. Choose them again.";
}

// What the portal itself answers is plain text; a proxy's error page is HTML.
function portalMessage(response) {
  return response.getHeader("Content-Type")?.startsWith("text/plain") && response.getBody()?.trim();
}

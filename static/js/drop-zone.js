// The drop zone of the form: its elements, what is under way in it, and what it shows and says.

import { settled } from "./previews.js";
import { discard, findUnfinished } from "./resume-upload.js";
import { clear, clearFindings, clearHead } from "./upload-preview.js";

const NOT_SHOWN = "The dataset is selected, but what is in it is not shown.";

export const zone = {
  parts: null, // the elements of the drop zone on the page
  suggestedName: null, // of the job, by the files
  isChanging: false, // whether somebody wants to see the ways, though a dataset is chosen
  task: null, // what is being read, packed or sent: { abort, file, upload, chunkSize, ... }
};

export function partsOf(root) {
  const find = (name) => root.querySelector(`[data-upload-${name}]`);
  return {
    root,
    input: root.querySelector("input[type=file][name]"),
    folder: find("folder"),
    select: root.querySelector("select[name=dataset]"),
    error: find("error"),
    progress: find("progress"),
    bar: find("progress").querySelector("progress"),
    text: find("text"),
    signIn: find("sign-in"),
    status: find("status"),
    stopped: find("stopped"),
    duplicate: find("duplicate"),
    cancel: find("cancel"),
    head: find("head"),
    ways: find("ways"),
    change: find("change"),
    preview: root.querySelector("[data-preview]"),
  };
}

export function announce(sentence) {
  zone.parts.status.textContent = sentence;
}

export function showError(sentence) {
  zone.parts.error.textContent = sentence;
}

export function endTask() {
  zone.task = null;
  zone.parts.progress.hidden = true;
  zone.parts.signIn.hidden = true;
  showWays();
}

// The ways to choose a dataset fold away while one is in use, until “Change” brings them back; they stay where
// one of them was refused.
export function showWays() {
  const { select, ways, change, duplicate } = zone.parts;
  if (!ways) return; // an upload that goes on in the library
  const isInUse = Boolean(zone.task || select.value || duplicate.childElementCount);
  const isShown = zone.isChanging || !isInUse || ways.querySelector(".error-text:not(:empty)") !== null;
  const hadFocus = ways.contains(document.activeElement);
  change.hidden = !isInUse;
  change.setAttribute("aria-expanded", String(isShown));
  ways.hidden = !isShown;
  if (hadFocus && !isShown) change.focus({ preventScroll: true });
}

// The plan and the price beside the form are of the dataset before; a script that selects one fires no change.
function changeValue(select, change) {
  const before = select.value;
  change();
  if (select.value !== before) htmx.trigger(select, "dataset-changed");
}

// An empty id selects none. What was wrong with an earlier choice is past.
export function setDataset(id, { isChanging = false } = {}) {
  const { select, ways } = zone.parts;
  changeValue(select, () => {
    select.value = id;
  });
  select.removeAttribute("aria-invalid");
  for (const text of ways?.querySelectorAll(".error-text") ?? []) text.textContent = "";
  zone.isChanging = isChanging;
  showWays();
}

export function clearPreview() {
  clear(zone.parts.preview);
  clearHead(zone.parts.head);
}

export function csrfToken() {
  return JSON.parse(document.body.getAttribute("hx-headers") || "{}")["x-csrftoken"] || "";
}

// The dataset exists as soon as the upload has begun, so the form can be sent while it runs.
export function selectDataset(id, name) {
  const { select } = zone.parts;
  if (!select.querySelector(`option[value="${id}"]`)) {
    select.append(new Option(name.replace(/\.zip$/i, ""), id));
  }
  if (select.value !== String(id)) setDataset(id);
  suggestName(name.replace(/\.zip$/i, ""));
}

// The job is named after its files until somebody types a name. “12 pairs” is the name of loose files.
function suggestName(name) {
  const field = zone.parts.select.form?.elements.name;
  if (!field) return; // an upload that goes on in the library
  const isFromLink = new URLSearchParams(location.search).has("dataset");
  const suggested = zone.suggestedName ?? (isFromLink ? field.defaultValue : "");
  if (/^\d+ pairs$/.test(name) || !["", suggested].includes(field.value)) return;
  if (field === document.activeElement) {
    field.addEventListener("blur", () => suggestName(name), { once: true }); // somebody may be about to type
    return;
  }
  field.value = zone.suggestedName = name.slice(0, field.maxLength);
}

export function removeDataset(id) {
  const { select } = zone.parts;
  changeValue(select, () => select.querySelector(`option[value="${id}"]`)?.remove());
  showWays();
}

export function showDataset(id, { keepPreview = false } = {}) {
  const { root, select } = zone.parts;
  if (!root.isConnected) return; // the form was sent; the job page shows the dataset now
  if (!keepPreview) clearPreview();
  resetDatasetStatus();
  if (!id) return;
  if (!keepPreview) document.getElementById("dataset-status").textContent = select.selectedOptions[0].text;
  const url = root.dataset.statusUrl.replace("/0/", `/${id}/`);
  const place = "#dataset-status";
  htmx.ajax("GET", url, { source: place, target: place, swap: "outerHTML" }).catch(() => {}); // failures.js
}

// Puts a new element in place: the old one may still poll the server every second.
export function resetDatasetStatus() {
  const fresh = document.createElement("div");
  fresh.id = "dataset-status";
  fresh.className = "upload-state";
  fresh.setAttribute("data-if-failed", NOT_SHOWN);
  document.getElementById("dataset-status").replaceWith(fresh);
}

// Once the server's verdict is there, it replaces the preview; whose pictures stay until the server's have
// loaded.
export async function hidePreviewForVerdict() {
  const { preview } = zone.parts;
  const status = document.getElementById("dataset-status");
  if (preview.hidden || !status?.querySelector(".pairs, [data-tone=bad], [data-tone=good]")) return;
  const pairs = status.querySelector(".pairs");
  if (pairs) {
    clearFindings(preview);
    pairs.hidden = true;
    const images = Array.from(status.querySelectorAll("img"));
    for (const image of images) image.loading = "eager";
    await Promise.all(images.map((image) => settled(image).then(() => image.decode().catch(() => {}))));
    if (!pairs.isConnected) return; // a newer verdict waits for pictures of its own
    pairs.hidden = false;
  }
  clearPreview();
}

export async function showUnfinished() {
  const { root, stopped, input } = zone.parts;
  const upload = await findUnfinished(root.dataset.person);
  if (!upload || zone.task) return;
  const chosen = upload.metadata.chosen || `“${upload.metadata.filename}”`;
  const them = chosen.endsWith(" more") ? "them" : "it";
  const sentence = `${chosen} stopped at ${upload.percent} %: choose ${them} again to resume.`;
  stopped.hidden = false;
  stopped.querySelector("span").textContent = sentence;
  announce(sentence);
  stopped.querySelector("button").onclick = async () => {
    stopped.hidden = true;
    input.focus();
    await discard(upload, { "X-CSRFToken": csrfToken() }, stopped);
  };
}

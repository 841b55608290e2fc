// The dropzone: sends a ZIP in pieces (tus 1.0), resumes after a break, and shows how far it is.
// Found by [data-upload]; without this script the plain file input posts with the form.

const MEBIBYTE = 1024 * 1024;
const running = new Set();
const RETRIES = [0, 1000, 3000, 5000, 10000, 20000, 30000, 30000, 30000, 60000];

function bind(zone) {
  if (zone.dataset.bound) return;
  zone.dataset.bound = "yes";
  const find = (name) => zone.querySelector(`[data-upload-${name}]`);
  const input = zone.querySelector("input[type=file]");
  const select = zone.querySelector("select[name=dataset]");
  const parts = { zone, input, select, error: find("error"), progress: find("progress"), text: find("text") };

  input.addEventListener("change", () => input.files[0] && begin(parts, input.files[0]));
  for (const kind of ["dragenter", "dragover"]) {
    zone.addEventListener(kind, (event) => {
      event.preventDefault();
      zone.classList.add("is-over");
    });
  }
  for (const kind of ["dragleave", "drop"]) {
    zone.addEventListener(kind, (event) => {
      if (kind === "dragleave" && zone.contains(event.relatedTarget)) return;
      zone.classList.remove("is-over");
    });
  }
  zone.addEventListener("drop", (event) => {
    event.preventDefault();
    if (event.dataTransfer.files[0]) begin(parts, event.dataTransfer.files[0]);
  });
  select.addEventListener("change", () => showDataset(parts, select.value));
}

async function begin(parts, file) {
  parts.running?.abort();
  say(parts, "");
  const trouble = await whatIsWrong(file, Number(parts.zone.dataset.max));
  if (trouble) {
    parts.input.value = "";
    return say(parts, trouble);
  }
  const upload = new tus.Upload(file, {
    endpoint: parts.zone.dataset.endpoint,
    chunkSize: 8 * MEBIBYTE,
    retryDelays: RETRIES,
    metadata: { filename: file.name },
    headers: { "X-CSRFToken": token() },
    removeFingerprintOnSuccess: true,
    onAfterResponse: (request, response) => {
      const id = response.getHeader("Dataset-Id");
      if (id) choose(parts, id, file.name);
    },
    onProgress: (sent, total) => showProgress(parts, file, sent, total),
    onSuccess: () => finish(parts),
    onError: (error) => fail(parts, error),
  });
  parts.running = upload;
  running.add(parts);
  parts.began = Date.now();
  showProgress(parts, file, 0, file.size);
  parts.progress.querySelector("[data-upload-cancel]").onclick = () => cancel(parts);
  const earlier = await upload.findPreviousUploads();
  if (earlier.length) upload.resumeFromPreviousUpload(earlier[0]);
  upload.start();
}

async function whatIsWrong(file, limit) {
  if (!file.name.toLowerCase().endsWith(".zip")) {
    return `“${file.name}” is not a ZIP. Pack the pictures into a .zip and drop it again.`;
  }
  if (file.size === 0) return "The file is empty. Choose the ZIP again.";
  if (file.size > limit) return `The ZIP is ${inWords(file.size)}; ${inWords(limit)} is the limit.`;
  const head = new Uint8Array(await file.slice(0, 2).arrayBuffer());
  if (head[0] !== 0x50 || head[1] !== 0x4b) {
    return "This is not a readable ZIP file. Pack the pictures into a .zip and drop it again.";
  }
  return "";
}

// The dataset exists as soon as the upload has begun, so the form can be sent while it runs.
function choose(parts, id, name) {
  let option = parts.select.querySelector(`option[value="${id}"]`);
  if (!option) {
    option = new Option(name.replace(/\.zip$/i, ""), id);
    parts.select.append(option);
  }
  parts.select.value = id;
  parts.input.value = "";
}

function showDataset(parts, id) {
  const place = document.getElementById("dataset-status");
  if (!id) return place.replaceChildren();
  const address = parts.zone.dataset.status.replace("/0/", `/${id}/`);
  htmx.ajax("GET", address, { target: "#dataset-status", swap: "outerHTML" });
}

function showProgress(parts, file, sent, total) {
  if (!parts.zone.isConnected) return; // the form was sent; the job page shows the progress now
  parts.progress.hidden = false;
  document.getElementById("dataset-status").replaceChildren();
  // Half of the way: the other half is the hand-over to the trainer, which the status piece shows.
  parts.progress.querySelector("progress").value = (50 * sent) / total;
  const seconds = (Date.now() - parts.began) / 1000;
  const speed = seconds > 1 ? sent / seconds : 0;
  const left = speed ? ` · ${inTime((total - sent) / speed)} left` : "";
  const pace = speed ? ` · ${inWords(speed)}/s` : "";
  parts.text.textContent = `${file.name} · ${inWords(sent)} of ${inWords(total)}${pace}${left}`;
}

function finish(parts) {
  parts.running = null;
  running.delete(parts);
  parts.progress.hidden = true;
  if (parts.zone.isConnected) showDataset(parts, parts.select.value);
}

function cancel(parts) {
  running.delete(parts);
  parts.running?.abort(true);
  parts.running = null;
  parts.progress.hidden = true;
  parts.select.value = "";
}

function fail(parts, error) {
  running.delete(parts);
  parts.progress.hidden = true;
  parts.select.value = "";
  const answer = error.originalResponse;
  const sentence = answer?.getBody()?.trim();
  const ours = answer?.getHeader("Content-Type")?.startsWith("text/plain") && sentence;
  say(parts, ours || "The connection was lost. Drop the file again; it goes on where it stopped.");
}

function say(parts, sentence) {
  parts.error.textContent = sentence;
}

function token() {
  return JSON.parse(document.body.getAttribute("hx-headers") || "{}")["x-csrftoken"] || "";
}

function inWords(bytes) {
  const units = ["bytes", "kB", "MB", "GB"];
  let step = 0;
  for (; bytes >= 1000 && step < 3; step += 1) bytes /= 1000;
  return `${step ? Number(bytes.toPrecision(3)) : Math.round(bytes)} ${units[step]}`;
}

function inTime(seconds) {
  if (seconds < 60) return `${Math.ceil(seconds)} s`;
  return seconds < 3600 ? `${Math.ceil(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}

function bindPresets(form) {
  const mark = () => {
    for (const preset of form.querySelectorAll("[data-preset]")) {
      const same =
        Number(form.elements.learning_rate.value) === Number(preset.dataset.rate) &&
        Number(form.elements.steps.value) === Number(preset.dataset.steps);
      preset.setAttribute("aria-pressed", String(same));
    }
  };
  form.addEventListener("input", mark);
  mark();
  form.addEventListener("click", (event) => {
    const preset = event.target.closest("[data-preset]");
    if (!preset) return;
    form.elements.learning_rate.value = preset.dataset.rate;
    form.elements.steps.value = preset.dataset.steps;
    form.dispatchEvent(new Event("input", { bubbles: true }));
  });
}

function bindAll() {
  document.querySelectorAll("[data-upload]").forEach((zone) => {
    if (!zone.dataset.bound) bindPresets(zone.closest("form"));
    bind(zone);
  });
}

// Leaving the page would end an upload; the browser asks first.
window.addEventListener("beforeunload", (event) => running.size && event.preventDefault());
document.addEventListener("htmx:load", bindAll);
bindAll();

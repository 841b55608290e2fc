// Shows speed and remaining time beside the progress bar of a dataset, which the server renders anew each
// second: [data-transfer-speed]. Each byte counts twice, once to the portal and once on to the provider.

import { formatBytes, formatDuration, speedMeter } from "./format.js";

const meters = new Map(); // by the dataset's primary key

function show(element) {
  const { transferSpeed: dataset, bytesDone, bytesTotal } = element.dataset;
  if (!meters.has(dataset)) meters.set(dataset, speedMeter());
  const speed = meters.get(dataset)(Number(bytesDone));
  const left = formatDuration((bytesTotal - bytesDone) / speed);
  element.textContent = speed > 0 ? `${formatBytes(speed)}/s · ${left} left` : "";
}

function showAll() {
  document.querySelectorAll("[data-transfer-speed]").forEach(show);
}

document.addEventListener("htmx:load", showAll);
showAll();

// How fast a dataset moves, and how long that will take: beside a progress bar that the server sends anew each
// second, [data-transfer-speed]. The way has two legs, to the portal and on to the trainer, so each byte moves twice.

import { inTime, inWords, pace } from "./format.js";

const paces = new Map(); // by the dataset's number

function tell(place) {
  const { transferSpeed: id, bytesDone: moved, bytesTotal: all } = place.dataset;
  if (!paces.has(id)) paces.set(id, pace());
  const speed = paces.get(id)(Number(moved));
  place.textContent = speed > 0 ? `${inWords(speed)}/s · ${inTime((all - moved) / speed)} left` : "";
}

function tellAll() {
  document.querySelectorAll("[data-transfer-speed]").forEach(tell);
}

document.addEventListener("htmx:load", tellAll);
tellAll();

// Takes files that are dropped on a page without the drop zone, such as the table of jobs: opens the form of a new
// job in its place, with these files.

import { filesOfDrop } from "./dropped-files.js";
import { showFailure } from "./failures.js";

const link = document.querySelector("[data-drop-anywhere]");
const isHere = () => link.isConnected; // else the form is open, and upload.js takes what is dropped

function mark(event, isOver) {
  if (!isHere() || !event.dataTransfer?.types.includes("Files")) return false;
  event.preventDefault();
  document.body.classList.toggle("is-dropping", isOver);
  return true;
}

window.addEventListener("dragenter", (event) => mark(event, true));
window.addEventListener("dragover", (event) => mark(event, true));
window.addEventListener("dragleave", (event) => event.relatedTarget || mark(event, false));
window.addEventListener("drop", async (event) => {
  if (!mark(event, false)) return;
  const files = await filesOfDrop(event.dataTransfer).catch(() => []);
  const { content } = document.querySelector("[data-drop-scripts]");
  await openForm();
  await take(files, content);
});

async function take(files, content) {
  try {
    await Promise.all([...content.cloneNode(true).children].map(load));
  } catch {
    const answer = { status: 0, text: "", wasOffline: !navigator.onLine, isRead: true };
    showFailure("scripts", answer, { form: link, retry: () => take(files, content) });
    return;
  }
  document.dispatchEvent(new CustomEvent("portal:files", { detail: files }));
}

// Resolves once the form is there, also after a failure and “Try again”.
function openForm() {
  return new Promise((resolve) => {
    const onSettled = ({ detail }) => {
      if (detail.requestConfig?.elt !== link) return;
      document.removeEventListener("htmx:afterSettle", onSettled);
      resolve();
    };
    document.addEventListener("htmx:afterSettle", onSettled);
    htmx.trigger(link, "portal:open");
  });
}

function load(script) {
  if (document.querySelector(`script[src="${script.getAttribute("src")}"]`)) return;
  return new Promise((resolve, reject) => {
    script.addEventListener("load", resolve);
    script.addEventListener("error", (event) => {
      script.remove();
      reject(event);
    });
    document.head.append(script);
  });
}

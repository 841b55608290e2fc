// Sends plain forms in the background, so that a failure leaves the page and what was typed as they are.
// Without this script, and where nothing but credentials is typed or a form leads to another site (data-native),
// the browser sends them.

import { hasQuestion, isConfirmed } from "./dialog.js";
import { hideFailure, showFailure } from "./failures.js";
import { focusError } from "./first-error.js";
import { keepTyped } from "./keep-typed.js";

const TIMEOUT = 60_000;
const SHOWN = 6000; // for how long it says what was downloaded
const FILES_TIMEOUT = 600_000; // a picture on a slow line
const SIGN_IN_AGAIN = /^\/(?:login|profile\/confirm)\//;

const sending = new WeakSet();

document.addEventListener("submit", async (event) => {
  const form = event.target;
  if (event.defaultPrevented || form.method !== "post" || form.matches("[hx-post], [data-native]")) return;
  event.preventDefault();
  const { submitter } = event;
  if (hasQuestion(form) && !(await isConfirmed(form))) return;
  await sendForm(form, submitter);
});

export async function sendForm(form, submitter) {
  if (sending.has(form)) return;
  const url = new URL(
    submitter?.getAttribute("formaction") || form.getAttribute("action") || "",
    location.href,
  );
  const key = `post ${url.pathname}`;
  sending.add(form);
  form.classList.add("htmx-request");
  hideFailure(key);
  try {
    const failure = await send(url, form, submitter);
    if (failure) showFailure(key, failure, { form, retry: () => sendForm(form, submitter) });
  } finally {
    sending.delete(form);
    form.classList.remove("htmx-request");
  }
}

// Goes on as the answer says; returns what failed.
async function send(url, form, submitter) {
  const body = new FormData(form, submitter);
  const hasFiles = form.enctype === "multipart/form-data";
  const wasOffline = !navigator.onLine;
  let response;
  let content;
  try {
    response = await fetch(url, {
      method: "POST",
      body: hasFiles ? body : new URLSearchParams(body),
      headers: { "Portal-Form": "1", "HX-Current-URL": location.href },
      signal: AbortSignal.timeout(hasFiles ? FILES_TIMEOUT : TIMEOUT),
    });
    content = await response.blob();
  } catch (error) {
    return { status: 0, text: "", wasOffline, isTimeout: error.name === "TimeoutError" };
  }
  const { status, headers } = response;
  const next = headers.get("Portal-Location") ?? headers.get("HX-Redirect");
  if (next) return go(next);
  if (headers.get("Content-Disposition")?.startsWith("attachment")) return download(content, headers);
  const text = await content.text();
  const page = new DOMParser().parseFromString(text, "text/html");
  const fromPortal = headers.has("X-Request-ID");
  if (fromPortal && page.getElementById("main")) return showPage(text, page);
  return { status, text, fromPortal, isStale: headers.has("Portal-Stale") };
}

function go(address) {
  const url = new URL(address, location.href);
  if (SIGN_IN_AGAIN.test(url.pathname)) keepTyped();
  const isSame = url.pathname + url.search === location.pathname + location.search;
  location.assign(url);
  if (isSame && url.hash) location.reload(); // to another place of the same page, the browser only scrolls
}

function download(content, headers) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content);
  link.download = /filename="([^"]+)"/.exec(headers.get("Content-Disposition"))?.[1] ?? "download";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  const message = document.querySelector("[data-downloaded]");
  message.hidden = false;
  message.querySelector("span").textContent = `“${link.download}” was downloaded.`;
  setTimeout(() => {
    message.hidden = true;
  }, SHOWN);
}

// The page with its errors, or with the result: its main part and its messages replace those shown.
function showPage(text, page) {
  document.title = page.title;
  const spec = { swapStyle: "outerHTML" };
  htmx.swap("#main", text, spec, { select: "#main", selectOOB: "#messages" });
  window.scrollTo(0, 0);
  const main = document.getElementById("main");
  if (focusError(main)) return;
  main.tabIndex = -1;
  main.focus();
}

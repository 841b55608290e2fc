// Says that a request failed: what happened, whether anything was done, and a button that sends it again. One
// message for each request; it stays until somebody closes it or the request succeeds.

import { takeBack } from "./choices.js";
import { keepTyped } from "./keep-typed.js";

const BAD_GATEWAY = [502, 503, 504];

const area = document.getElementById("failures");
const messages = new Map(); // by key
const sentOffline = new WeakSet(); // requests of htmx that began without a network

// What a status without a sentence of the portal means.
const SENTENCES = {
  403: "The portal, or a proxy in front of it, refused this.",
  404: "What this belongs to is gone. Reload the page.",
  408: "The connection was too slow.",
  413: "This is larger than the portal, or a proxy in front of it, takes.",
  422: "The portal did not accept this.",
  429: "That was too often. Wait a minute.",
};

// `answer` is { status, text, fromPortal, wasOffline, isTimeout, isRead, isPoll }; status 0 is no answer, and
// a read changes nothing at the portal.
export function describe({ status, text, fromPortal, wasOffline, isTimeout }) {
  if (wasOffline) return "You are offline.";
  if (isTimeout) return "The portal did not answer in time.";
  if (!status) return "The connection to the portal was lost.";
  const sentence = fromPortal ? sentenceOf(text) : "";
  if (sentence) return sentence;
  if (BAD_GATEWAY.includes(status)) return `The portal cannot be reached (${status}).`;
  return SENTENCES[status] ?? `The portal answered with an error (${status}).`;
}

// The portal answers with a page that has the sentence marked, or with a line of text.
function sentenceOf(text) {
  if (!text.trimStart().startsWith("<")) return text.trim().slice(0, 500);
  const page = new DOMParser().parseFromString(text, "text/html");
  return page.querySelector("[data-error-text]")?.textContent.trim() ?? "";
}

// Whether the portal certainly did nothing: it never got the request, or said no to it.
function isUndone({ status, fromPortal, wasOffline }) {
  return wasOffline || (status >= 400 && status < 500) || (status === 503 && fromPortal);
}

function outcome(form, answer) {
  const say = (name) => form?.getAttribute(name); // a field named dataset would hide form.dataset
  if (answer.isPoll)
    return [say("data-if-failed"), "The page tries again by itself."].filter(Boolean).join(" ");
  if (answer.isRead || isUndone(answer)) return say("data-if-failed") ?? "Nothing was changed.";
  return say("data-if-unsure") ?? "It may have arrived all the same: look at the page before you try again.";
}

// `form` is the element that sent the request; `retry` sends it again, and a poll needs none.
export function showFailure(key, answer, { form, retry } = {}) {
  hideFailure(key);
  const message = document.getElementById("failure").content.cloneNode(true).firstElementChild;
  const find = (name) => message.querySelector(`[data-failure-${name}]`);
  const sender = document.activeElement;
  const close = () => {
    const hadFocus = message.contains(document.activeElement);
    message.remove();
    messages.delete(key);
    if (hadFocus && sender?.isConnected) sender.focus();
  };
  find("what").textContent = describe(answer);
  find("outcome").textContent = outcome(form, answer);
  find("retry").hidden = !retry;
  find("retry").addEventListener("click", () => {
    close();
    retry();
  });
  find("reload").hidden = !answer.isStale;
  find("reload").addEventListener("click", () => {
    keepTyped();
    location.reload();
  });
  find("dismiss").addEventListener("click", close);
  message.addEventListener("keydown", (event) => event.key === "Escape" && close());
  messages.set(key, close);
  area.append(message);
  if (retry) message.focus();
}

export function hideFailure(key) {
  messages.get(key)?.();
}

// Requests of htmx.

const isPoll = (element) => /^(?:every|poll)\b/.test(element.getAttribute("hx-trigger") ?? "");
const showsItself = (element) => element.getAttribute("hx-trigger") === "poll"; // live.js says so
const keyOf = ({ requestConfig: { verb, path } }) => `${verb} ${path.split("?")[0]}`;

function answerOf(xhr, requestConfig, isTimeout = false) {
  const header = (name) => xhr.getResponseHeader(name);
  return {
    status: xhr.status,
    text: xhr.responseText,
    fromPortal: header("X-Request-ID") !== null,
    isStale: header("Portal-Stale") !== null,
    wasOffline: !xhr.status && sentOffline.has(requestConfig),
    isTimeout,
  };
}

// Sends the request again, with what its form holds by now and the button that was pressed.
function sendAgain({ requestConfig, target }) {
  const { verb, path, elt, triggeringEvent } = requestConfig;
  const button = triggeringEvent?.submitter;
  const values = button?.name ? { [button.name]: button.value } : {};
  const own = elt.matches("[hx-get], [hx-post]") ? {} : { target, swap: "outerHTML" }; // of htmx.ajax
  const again = htmx.ajax(verb, path, { source: elt, event: triggeringEvent, values, ...own });
  again.catch(() => {}); // it is said once more
}

function onFailure({ detail }, isTimeout = false) {
  const { elt, xhr, requestConfig } = detail;
  if (showsItself(elt)) return;
  const answer = answerOf(xhr, requestConfig, isTimeout);
  if (elt.dataset.unknown) {
    elt.textContent = `${describe(answer)} ${elt.dataset.unknown}`; // not a figure that may be wrong now
    htmx.trigger(elt, "unknown");
    return;
  }
  const chooseAgain = takeBack(elt);
  const sendItAgain = () => {
    if (!elt.isConnected) return;
    chooseAgain();
    sendAgain(detail);
  };
  const about = { ...answer, isPoll: isPoll(elt), isRead: requestConfig.verb === "get" };
  const form = elt.closest("[data-if-failed], form") ?? elt;
  showFailure(keyOf(detail), about, { form, retry: about.isPoll ? undefined : sendItAgain });
}

document.addEventListener("htmx:beforeSend", ({ detail: { requestConfig } }) => {
  if (!navigator.onLine) sentOffline.add(requestConfig);
});
document.addEventListener("htmx:sendError", onFailure);
document.addEventListener("htmx:timeout", (event) => onFailure(event, true));
document.addEventListener("htmx:responseError", onFailure);
// The session ended, or a second factor is required: htmx goes there at once.
document.addEventListener("htmx:beforeOnLoad", ({ detail: { xhr } }) => {
  if (xhr.status >= 400 && xhr.getResponseHeader("HX-Redirect")) keepTyped();
});
// An invalid form comes back as a piece of the page. What is no piece must not replace the form.
document.addEventListener("htmx:beforeSwap", ({ detail }) => {
  const { xhr } = detail;
  if (xhr.status !== 422 || (xhr.responseText.trim() && xhr.getResponseHeader("X-Request-ID"))) return;
  detail.shouldSwap = false;
  detail.isError = true;
});
document.addEventListener("htmx:afterRequest", ({ detail }) => {
  if (detail.successful) hideFailure(keyOf(detail));
});

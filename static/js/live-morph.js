// Patches what is shown to match what came, in place: focus, selection, scroll and open details stay. A form
// in use is left as it is, and nothing disappears under the pointer.

const KEPT_ATTRIBUTES = new Set(["open", "data-new", "data-filtered-out"]);
const POINTER_REST = 3000; // for so long after the pointer moved, a click may follow

const pointer = { movedAt: 0 };

const onPointerMove = () => {
  pointer.movedAt = Date.now();
};
document.addEventListener("pointermove", onPointerMove, { passive: true });

export const isPointed = (element) =>
  Date.now() - pointer.movedAt < POINTER_REST && element.matches(":hover");

export function parse(html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  return withToken(template.content.firstElementChild);
}

// HTML that is rendered once for everyone has no CSRF token, and another token for the same viewer is no
// change.
export function withToken(fresh) {
  const token = document.querySelector("#action-form [name=csrfmiddlewaretoken]").value;
  for (const input of fresh.querySelectorAll("[name=csrfmiddlewaretoken]")) {
    input.setAttribute("value", token);
  }
  return fresh;
}

// Says whether everything was patched, and which elements are new.
export function morph(shown, fresh) {
  const result = { isComplete: true, added: [] };
  patch(shown, fresh, result);
  return result;
}

function patch(shown, fresh, result) {
  if (shown.isEqualNode(fresh)) return;
  if (shown.nodeType !== Node.ELEMENT_NODE) {
    shown.data = fresh.data;
    return;
  }
  if ("morphSkip" in shown.dataset) return; // a script writes there
  if (shown.localName === "time") {
    if (shown.dateTime === fresh.dateTime) return; // times.js wrote its text
    shown.replaceWith(fresh);
    result.added.push(fresh);
    return;
  }
  if (shown.matches("input, select, textarea") && shown === document.activeElement) return;
  if (isUsedForm(shown) || (hasForm(shown) && !hasForm(fresh) && isUsedForm(shown.querySelector("form")))) {
    result.isComplete = false;
    return;
  }
  patchAttributes(shown, fresh);
  patchChildren(shown, fresh, result);
}

const hasForm = (element) => element.querySelector(":scope > form") !== null;
const isUsedForm = (element) => element.localName === "form" && isUsed(element);

function patchAttributes(shown, fresh) {
  for (const { name, value } of fresh.attributes) {
    if (shown.getAttribute(name) !== value) shown.setAttribute(name, value);
  }
  for (const { name } of Array.from(shown.attributes)) {
    if (!fresh.hasAttribute(name) && !KEPT_ATTRIBUTES.has(name)) shown.removeAttribute(name);
  }
}

function patchChildren(shown, fresh, result) {
  const freshIds = new Set(Array.from(fresh.children, ({ id }) => id).filter(Boolean));
  const stays = (node) => node.id && freshIds.has(node.id);
  for (const child of Array.from(shown.children)) {
    if (child.id && !stays(child)) remove(child, result);
  }
  const shownById = new Map(Array.from(shown.children, (child) => [child.id, child]));
  let at = shown.firstChild;
  const passUsed = () => {
    while (at?.id && !stays(at)) at = at.nextSibling; // in use, so it was not removed
  };
  for (const next of Array.from(fresh.childNodes)) {
    passUsed();
    const same = next.id ? shownById.get(next.id) : at && !at.id && at.nodeName === next.nodeName && at;
    if (!same) {
      shown.insertBefore(next, at);
      if (next.nodeType === Node.ELEMENT_NODE) result.added.push(next);
      continue;
    }
    while (at && at !== same && !at.id) at = removeAndPass(at, result);
    passUsed();
    if (at === same) at = at.nextSibling;
    else shown.insertBefore(same, at);
    patch(same, next, result);
  }
  while (at) at = stays(at) ? at.nextSibling : removeAndPass(at, result);
}

function removeAndPass(node, result) {
  const next = node.nextSibling;
  remove(node, result);
  return next;
}

function remove(node, result) {
  if (node.nodeType === Node.ELEMENT_NODE && (isUsed(node) || isPointed(node))) result.isComplete = false;
  else node.remove();
}

function isUsed(element) {
  if (element.contains(document.activeElement)) return true;
  const forms = element.localName === "form" ? [element] : Array.from(element.querySelectorAll("form"));
  const isDialogOpen = document.querySelector("dialog[open]") !== null;
  return forms.some(
    (form) => isDialogOpen || form.matches(".htmx-request") || form.querySelector(".htmx-request"),
  );
}

// Brings what is shown to what came, in place: focus, selection, scroll and open details stay. A form that
// someone is using is left as it is, and nothing goes away under the pointer; the answer says whether all was
// done, and which elements are new.

const OWN = new Set(["open", "data-new", "data-filtered-out"]);
const ACTING = 3000; // so long after the pointer moved someone may be about to press

let moved = 0;
document.addEventListener(
  "pointermove",
  () => {
    moved = Date.now();
  },
  { passive: true },
);

export const isPointed = (element) => Date.now() - moved < ACTING && element.matches(":hover");

export function morph(shown, fresh) {
  const done = { whole: true, added: [] };
  bring(shown, fresh, done);
  return done;
}

function bring(shown, fresh, done) {
  if (shown.isEqualNode(fresh)) return;
  if (shown.nodeType !== Node.ELEMENT_NODE) {
    shown.data = fresh.data;
    return;
  }
  if ("morphSkip" in shown.dataset) return; // a script writes there
  if (shown.localName === "time") {
    if (shown.dateTime === fresh.dateTime) return; // its words are the viewer's own
    shown.replaceWith(fresh);
    done.added.push(fresh);
    return;
  }
  if (shown.matches("input, select, textarea") && shown === document.activeElement) return;
  if (isOccupied(shown) || (hasForm(shown) && !hasForm(fresh) && isOccupied(shown.querySelector("form")))) {
    done.whole = false;
    return;
  }
  bringAttributes(shown, fresh);
  bringChildren(shown, fresh, done);
}

const hasForm = (element) => element.querySelector(":scope > form") !== null;
const isOccupied = (element) => element.localName === "form" && isUsed(element);

function bringAttributes(shown, fresh) {
  for (const { name, value } of fresh.attributes) {
    if (shown.getAttribute(name) !== value) shown.setAttribute(name, value);
  }
  for (const { name } of Array.from(shown.attributes)) {
    if (!fresh.hasAttribute(name) && !OWN.has(name)) shown.removeAttribute(name);
  }
}

function bringChildren(shown, fresh, done) {
  const wanted = new Set(Array.from(fresh.children, ({ id }) => id).filter(Boolean));
  const stays = (node) => node.id && wanted.has(node.id);
  for (const child of Array.from(shown.children)) {
    if (child.id && !stays(child)) drop(child, done);
  }
  const known = new Map(Array.from(shown.children, (child) => [child.id, child]));
  let at = shown.firstChild;
  const pass = () => {
    while (at?.id && !stays(at)) at = at.nextSibling; // in use, so it stays a while
  };
  for (const next of Array.from(fresh.childNodes)) {
    pass();
    const same = next.id ? known.get(next.id) : at && !at.id && at.nodeName === next.nodeName && at;
    if (!same) {
      shown.insertBefore(next, at);
      if (next.nodeType === Node.ELEMENT_NODE) done.added.push(next);
      continue;
    }
    while (at && at !== same && !at.id) at = dropped(at, done);
    pass();
    if (at === same) at = at.nextSibling;
    else shown.insertBefore(same, at);
    bring(same, next, done);
  }
  while (at) at = stays(at) ? at.nextSibling : dropped(at, done);
}

function dropped(node, done) {
  const next = node.nextSibling;
  drop(node, done);
  return next;
}

function drop(node, done) {
  if (node.nodeType === Node.ELEMENT_NODE && (isUsed(node) || isPointed(node))) done.whole = false;
  else node.remove();
}

function isUsed(element) {
  if (element.contains(document.activeElement)) return true;
  const forms = element.localName === "form" ? [element] : Array.from(element.querySelectorAll("form"));
  const asks = document.querySelector("dialog[open]") !== null;
  return forms.some((form) => asks || form.matches(".htmx-request") || form.querySelector(".htmx-request"));
}

// After a refused form, moves focus and scroll to its first bad field.

// Returns whether there is one.
export function focusError(root) {
  const text = Array.from(root.querySelectorAll(".error-text")).find((each) => each.textContent.trim());
  const field = root.querySelector("[aria-invalid=true]") ?? text;
  if (!field) return false;
  for (let fold = field.closest("details"); fold; fold = fold.parentElement.closest("details"))
    fold.open = true;
  if (field === text) text.tabIndex = -1;
  field.focus({ preventScroll: true });
  field.scrollIntoView({ block: "center" });
  return true;
}

// A page that the browser itself loaded as the answer to a form, such as the one that creates an account.
if (document.querySelector("[aria-invalid=true]")) focusError(document);

document.addEventListener("htmx:afterSettle", ({ detail: { xhr, elt } }) => {
  if (xhr?.status === 422) focusError(elt);
});

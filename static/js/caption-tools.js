// Finds and replaces words in all captions of the page, says how many are changed, and asks before changes are left
// behind.

const form = document.querySelector("form.captions");
const [find, replacement, button, status, changed] = [
  "find-text",
  "replace-text",
  "replace-all",
  "replace-status",
  "changed-captions",
].map((id) => document.getElementById(id));
const captions = Array.from(form.querySelectorAll(".caption-row textarea"));
let isSent = false;

const countOf = (number, word) => `${number} ${word}${number === 1 ? "" : "s"}`;
const changes = () => captions.filter(({ value, defaultValue }) => value !== defaultValue).length;

function replaceAll() {
  if (!find.value) {
    status.textContent = "Enter what to find.";
    find.focus();
    return;
  }
  const matching = captions.filter(({ value }) => value.includes(find.value));
  for (const caption of matching)
    caption.value = caption.value.replaceAll(find.value, () => replacement.value);
  status.textContent = matching.length
    ? `Replaced in ${countOf(matching.length, "caption")}.`
    : "No caption has it.";
  showChanges();
}

function showChanges() {
  const number = changes();
  changed.textContent = number ? `${countOf(number, "caption")} changed` : "";
}

button.addEventListener("click", replaceAll);
for (const field of [find, replacement]) {
  field.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault(); // the form would be saved
    replaceAll();
  });
}
form.addEventListener("input", showChanges);
form.addEventListener("submit", () => {
  isSent = true;
});
window.addEventListener("beforeunload", (event) => changes() && !isSent && event.preventDefault());
showChanges();

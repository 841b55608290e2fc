// The preset buttons fill in all parameters, also those under Advanced; the one whose values the form has is marked.
// What the selected connection does not take stands in a line of its own, which says so.

const FURTHER = "parameter-";

const inputsOf = (form) =>
  Array.from(form.elements).filter(
    ({ name }) => ["learning_rate", "steps", "parameters"].includes(name) || name.startsWith(FURTHER),
  );

// What each input holds when the preset is applied, by its name.
function valuesOf({ dataset, form }) {
  const { learningRate, steps, parameters = "{}" } = dataset;
  const further = Object.entries(JSON.parse(parameters));
  const rest = further.filter(([name]) => !form.elements[name]);
  const line = rest.map(([name, text]) => `${name.slice(FURTHER.length)}=${text}`).join(", ");
  return { learning_rate: learningRate, steps, parameters: line, ...Object.fromEntries(further) };
}

const numberOf = (text) => (text.trim() ? Number(text.replace(",", ".")) : Number.NaN);
const isSame = (typed, text) => typed.trim() === text || numberOf(typed) === numberOf(text);

function mark(form) {
  const inputs = inputsOf(form);
  for (const preset of form.querySelectorAll("[data-preset]")) {
    const values = valuesOf(preset);
    const isMatch = inputs.every(({ name, value }) => isSame(value, values[name] ?? ""));
    preset.setAttribute("aria-pressed", String(isMatch));
  }
}

function markAll() {
  const preset = document.querySelector("[data-preset]");
  if (preset) mark(preset.form);
}

function apply(preset) {
  const { form } = preset;
  const values = valuesOf(preset);
  const emptied = [];
  for (const input of inputsOf(form)) {
    const text = values[input.name] ?? "";
    if (input.value && !text) emptied.push(input.labels[0].textContent.trim());
    input.value = text;
  }
  form.querySelector("[data-other-parameters]").hidden = !values.parameters;
  if (preset.dataset.parameters?.length > 2) document.getElementById("advanced").open = true;
  form.querySelector("[data-preset-status]").textContent = emptied.length
    ? `Back at the default: ${emptied.join(", ")}.`
    : "";
  mark(form);
  form.elements.steps.dispatchEvent(new Event("change", { bubbles: true })); // the price depends on it
}

document.addEventListener("click", (event) => {
  const preset = event.target.closest("[data-preset]");
  if (preset) apply(preset);
});
document.addEventListener("input", ({ target }) => {
  if (!target.form?.querySelector("[data-preset]")) return;
  if (target.name === "parameters") target.closest("[data-other-parameters]").hidden = false; // a script filled it
  mark(target.form);
});
document.addEventListener("htmx:load", markAll);
markAll();

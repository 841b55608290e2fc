// A choice that fetches what depends on it: a connection its trainers, a trainer its parameters. While that has
// not come, the fields on the page belong to the choice before, so a request that failed takes the choice back.

const optionsOf = (field) =>
  field.form && field.type === "radio"
    ? Array.from(field.form.elements[field.name] ?? [])
    : [...field.options];
const state = (option) =>
  option.type === "radio" ? ["checked", "defaultChecked"] : ["selected", "defaultSelected"];
const isChoice = (element) => element.matches("[data-taken-back]");

// Shows the choice to which the fields belong; returns what makes the other one again.
export function takeBack(field) {
  if (!isChoice(field)) return () => {};
  const chosen = optionsOf(field).find((option) => option[state(option)[0]]);
  for (const option of optionsOf(field)) {
    const [is, wasBefore] = state(option);
    option[is] = option[wasBefore];
  }
  htmx.trigger(field, "taken-back");
  return () => {
    if (chosen) chosen[state(chosen)[0]] = true;
  };
}

document.addEventListener("htmx:afterRequest", ({ detail: { elt, successful } }) => {
  if (!successful || !isChoice(elt)) return;
  for (const option of optionsOf(elt)) {
    const [is, wasBefore] = state(option);
    option[wasBefore] = option[is];
  }
});

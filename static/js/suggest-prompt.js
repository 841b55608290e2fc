// Fills in the prompt where all captions of the chosen dataset are equal, and says that it is optional where every
// pair has one. What somebody typed stays, and each caption is suggested once: who empties the field means it.

let suggested = "";

// `captions` has a text for each pair, empty for one without.
export function suggestFromPairs(captions) {
  const isOptional = captions.length > 0 && captions.every(Boolean);
  const isShared = isOptional && new Set(captions).size === 1;
  suggestPrompt({ isOptional, caption: isShared ? captions[0] : "" });
}

export function suggestPrompt({ isOptional, caption }) {
  const field = document.getElementById("id_instance_prompt");
  if (!field) return; // an upload that goes on in the library
  const { help, helpOptional } = field.closest("[data-help]").dataset;
  document.getElementById("id_instance_prompt_helptext").textContent = isOptional ? helpOptional : help;
  if (caption === suggested || caption.length > field.maxLength) return;
  const before = suggested;
  suggested = caption;
  fill(field, before);
}

function fill(field, before) {
  if (!["", before].includes(field.value)) return;
  if (field !== document.activeElement) field.value = suggested;
  else field.addEventListener("blur", () => fill(field, before), { once: true }); // about to type, perhaps
}

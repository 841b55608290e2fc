// The server's table of what a dataset may hold, which the page carries as JSON; its shape is described in
// finetune_portal/datasets/checker/accepted.py.

export const accepted = JSON.parse(document.getElementById("accepted-files").textContent);

const { pictures, captions } = accepted;
const imageEndings = new Set(pictures.flatMap(({ endings, renamed }) => [...endings, ...renamed]));
export const captionEndings = [captions.ending, ...captions.renamed];

export const isImage = ({ suffix }) => imageEndings.has(suffix.toLowerCase());
export const isTable = ({ suffix }) => accepted.tables.endings.includes(suffix.toLowerCase());
export const isCaption = (file) => captionEndings.includes(file.suffix.toLowerCase()) && !isTable(file);
// A text about the dataset, such as README.txt.
export const isNote = ({ stem }) => accepted.junk.notes.includes(fold(stem));

// One spelling for names that differ in case only.
export function fold(text) {
  return text.toLowerCase().replaceAll("ß", "ss").replaceAll("ς", "σ");
}

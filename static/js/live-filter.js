// Whether a job belongs in the table under the filter in the address, as far as the browser can tell.

const filter = () => Object.fromEntries(new URLSearchParams(location.search));
const differs = (wanted, actual) => Boolean(wanted) && wanted !== String(actual ?? "");

// Whether the filter excludes a job for certain, whatever its state.
function isExcluded({ owner, dataset, archived }) {
  const wanted = filter();
  const isOthers = wanted.mine === "on" && differs(document.getElementById("live").dataset.person, owner);
  return (
    isOthers ||
    differs(wanted.by, owner) ||
    differs(wanted.dataset, dataset) ||
    archived !== (wanted.archived === "on")
  );
}

// Cards have what a row has not, and the stream has rows alone.
export const isGrid = () => document.querySelector("#job-table[data-layout=grid]") !== null;

// Whether the job stands, or may stand, in the one row of its sweep.
const isGrouped = ({ sweep }) => Boolean(sweep && document.querySelector("#job-table[data-grouped]"));

// Whether the table shows a job: true, false, or undefined where only the server knows.
export function matchesFilter(job) {
  const { state, mine, by, dataset, archived, before, after, layout, unfolded, unfold, fold, ...others } =
    filter();
  if (isExcluded(job) || differs(state, job.group)) return false;
  if (isGrouped(job)) return undefined;
  return Object.values({ before, after, ...others }).some(Boolean) ? undefined : true;
}

// Only the server knows what a search finds, how rows are ordered, the counts under a filter, and what the row of
// a sweep says.
export function needsServer(job) {
  const { state, before, after, layout, unfolded, unfold, fold, ...others } = filter();
  if (isGrouped(job)) return !isExcluded(job) || document.getElementById(`sweep-${job.sweep}`) !== null;
  return (isGrid() || Object.values(others).some(Boolean)) && !isExcluded(job);
}

// Formats sizes and durations for people, and measures speed.

const SPEED_WINDOW = 10; // seconds

export function formatBytes(bytes) {
  const units = ["bytes", "kB", "MB", "GB"];
  let step = 0;
  for (; bytes >= 1000 && step < 3; step += 1) bytes /= 1000;
  return `${step ? Number(bytes.toPrecision(3)) : Math.round(bytes)} ${units[step]}`;
}

export function formatDuration(seconds) {
  if (seconds < 60) return `${Math.ceil(seconds)} s`;
  return seconds < 3600 ? `${Math.ceil(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}

// Joins texts so that each ends in one full stop.
export function sentences(texts) {
  return texts.map((text) => (/[.!?…]$/.test(text) ? text : `${text}.`)).join(" ");
}

// Returns a function from the bytes done so far to bytes a second, averaged over the last seconds; 0 while
// that is unknown. Bytes done before the first call do not count.
export function speedMeter() {
  const marks = [];
  return (bytesDone) => {
    const now = performance.now() / 1000;
    marks.push([now, bytesDone]);
    while (marks.length > 2 && now - marks[0][0] > SPEED_WINDOW) marks.shift();
    const [then, before] = marks[0];
    return now - then > 1 ? (bytesDone - before) / (now - then) : 0;
  };
}

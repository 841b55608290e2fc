// Sizes, times and speeds as a person would say them.

const SECONDS_SEEN = 10;

export function inWords(bytes) {
  const units = ["bytes", "kB", "MB", "GB"];
  let step = 0;
  for (; bytes >= 1000 && step < 3; step += 1) bytes /= 1000;
  return `${step ? Number(bytes.toPrecision(3)) : Math.round(bytes)} ${units[step]}`;
}

export function inTime(seconds) {
  if (seconds < 60) return `${Math.ceil(seconds)} s`;
  return seconds < 3600 ? `${Math.ceil(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}

// Bytes a second over the last while; 0 until that can be told. Bytes sent before a resume do not count.
export function pace() {
  const marks = [];
  return (sent) => {
    const now = performance.now() / 1000;
    marks.push([now, sent]);
    while (marks.length > 2 && now - marks[0][0] > SECONDS_SEEN) marks.shift();
    const [then, before] = marks[0];
    return now - then > 1 ? (sent - before) / (now - then) : 0;
  };
}

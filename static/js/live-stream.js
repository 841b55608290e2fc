// The live stream of events, opened again whenever it ends.

const EVENTS = ["hello", "beat", "row", "progress", "counts", "banners", "stale"];
const MAX_SILENCE = 12_000; // the server sends a beat every five seconds
const MAX_PAUSE = 10_000;

// Calls back with each event, and with "down" while the stream cannot be trusted. Returns what closes it.
export function openStream(callback) {
  let [source, timer, attempts] = [null, 0, 0];

  function open() {
    source = new EventSource(new URL("../../live/", import.meta.url)); // in a worker, too, and below any path
    for (const name of EVENTS) source.addEventListener(name, onEvent);
    source.addEventListener("error", reopen);
    watch();
  }

  function onEvent({ type, data }) {
    attempts = 0;
    watch();
    callback(type, JSON.parse(data));
  }

  // A proxy that swallows the stream, and a network that is gone, raise no error.
  function watch() {
    clearTimeout(timer);
    timer = setTimeout(reopen, MAX_SILENCE);
  }

  function close() {
    source.close();
    clearTimeout(timer);
  }

  function reopen() {
    close();
    callback("down", {});
    const pause = Math.min(MAX_PAUSE, 500 * 2 ** attempts++);
    timer = setTimeout(open, pause * (0.5 + Math.random() / 2));
  }

  open();
  return close;
}

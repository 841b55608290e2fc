// The live stream, opened again whenever it ends. Tells each event, and "down" while the stream cannot be trusted.
// The answer stops it.

const EVENTS = ["hello", "beat", "row", "progress", "counts", "mood", "stale"];
const DEAF = 12_000; // the server beats every five seconds
const MOST = 10_000;

export function listen(tell) {
  let [source, timer, tries] = [null, 0, 0];

  function open() {
    source = new EventSource("/live/");
    for (const name of EVENTS) source.addEventListener(name, hear);
    source.addEventListener("error", fail);
    wait();
  }

  function hear({ type, data }) {
    tries = 0;
    wait();
    tell(type, JSON.parse(data));
  }

  // A proxy that swallows the stream, or a network that went away, says nothing at all.
  function wait() {
    clearTimeout(timer);
    timer = setTimeout(fail, DEAF);
  }

  function stop() {
    source.close();
    clearTimeout(timer);
  }

  function fail() {
    stop();
    tell("down", {});
    const pause = Math.min(MOST, 500 * 2 ** tries++);
    timer = setTimeout(open, pause * (0.5 + Math.random() / 2));
  }

  open();
  return stop;
}

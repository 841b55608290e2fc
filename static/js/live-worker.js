// Shares one live stream among all tabs: over HTTP/1.1 a browser has only six connections to a server.

import { openStream } from "./live-stream.js";

const stream = {
  ports: new Set(),
  isUp: false,
  beat: {}, // the data of the last one
};

openStream((name, data) => {
  stream.isUp = name !== "down";
  if (name === "beat") stream.beat = data;
  for (const port of stream.ports) port.postMessage({ name, data });
});

self.addEventListener("connect", ({ ports: [port] }) => {
  stream.ports.add(port);
  port.onmessage = () => stream.ports.delete(port); // a page sends nothing but that it goes
  port.postMessage(stream.isUp ? { name: "beat", data: stream.beat } : { name: "down", data: {} });
});

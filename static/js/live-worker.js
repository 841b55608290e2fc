// One live stream for all tabs of this browser: a browser has only six connections to a server over HTTP/1.1.

import { listen } from "./live-source.js";

const ports = new Set();
let isUp = false;

listen((name, data) => {
  isUp = name !== "down";
  for (const port of ports) port.postMessage({ name, data });
});

self.addEventListener("connect", ({ ports: [port] }) => {
  ports.add(port);
  port.onmessage = () => ports.delete(port); // the only thing that a page says is that it goes
  port.postMessage({ name: isUp ? "hello" : "down", data: {} });
});

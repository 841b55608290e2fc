// One live stream for all tabs of this browser: a browser has only six connections to a server over HTTP/1.1.

import { listen } from "./live-stream.js";

const ports = new Set();
let isUp = false;
let latest = {}; // what the last beat said

listen((name, data) => {
  isUp = name !== "down";
  if (name === "beat") latest = data;
  for (const port of ports) port.postMessage({ name, data });
});

self.addEventListener("connect", ({ ports: [port] }) => {
  ports.add(port);
  port.onmessage = () => ports.delete(port); // the only thing that a page says is that it goes
  port.postMessage(isUp ? { name: "beat", data: latest } : { name: "down", data: {} });
});

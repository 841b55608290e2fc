// fal's JavaScript client, driven line by line: a call as JSON on stdin, what came of it as JSON on stdout.
// It is given a proxy, the fake, as a web page is that must not have the key.
import { File } from "node:buffer";
import { createInterface } from "node:readline";
import { createFalClient } from "@fal-ai/client";

const fal = createFalClient({
  credentials: process.env.FAL_KEY,
  proxyUrl: { url: process.env.FAL_PROXY, when: "always" },
});

const calls = {
  submit: async ({ endpoint, input, webhook }) =>
    (await fal.queue.submit(endpoint, { input, webhookUrl: webhook ?? undefined })).request_id,
  status: async ({ endpoint, id }) => {
    const { status, queue_position, logs, error } = await fal.queue.status(endpoint, {
      requestId: id,
      logs: true,
    });
    return { status, position: queue_position ?? null, logs: logs?.map((line) => line.message), error };
  },
  result: async ({ endpoint, id }) => (await fal.queue.result(endpoint, { requestId: id })).data,
  subscribe: async ({ endpoint, input }) => {
    const states = [];
    const onQueueUpdate = (update) => states.push(update.status);
    const { data } = await fal.subscribe(endpoint, { input, logs: true, pollInterval: 10, onQueueUpdate });
    return { states, data };
  },
  stream: async ({ endpoint, id }) => {
    const states = [];
    const events = await fal.queue.streamStatus(endpoint, { requestId: id, logs: true });
    for await (const event of events) states.push(event.status);
    return states;
  },
  cancel: ({ endpoint, id }) => fal.queue.cancel(endpoint, { requestId: id }),
  upload: ({ content, times }) => {
    const blocks = Array(times).fill(Buffer.from(content, "base64"));
    return fal.storage.upload(new File(blocks, "pairs.zip", { type: "application/zip" }));
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const { call, ...fields } = JSON.parse(line);
  const answer = await calls[call](fields).then(
    (value) => ({ value: value ?? null }),
    (error) => ({ status: error.status ?? 0, detail: error.body?.detail ?? error.message, name: error.name }),
  );
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}

/** A job's events, as the service sends them; EventSource could not send the key. */

const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 5000;

/**
 * The events of a job, until it has ended or `signal` says so. A service that goes away is asked again, for what came
 * since. Throws the Problem of a job that is not there.
 * @param {import("./service.js").Service} service @param {string} id of the job
 * @param {number} after index of the last shard that is known
 * @param {AbortSignal} signal
 * @returns {AsyncGenerator<{kind: string, data: any}>}
 */
export async function* jobEvents(service, id, after, signal) {
  let last = "";
  let pause = FIRST_PAUSE_MS;
  while (!signal.aborted) {
    try {
      const headers = last ? { "Last-Event-ID": last } : {};
      const response = await service.call("GET", `/v1/jobs/${id}/events?after=${after}`, { headers, signal });
      if (response.status === 204) return;
      for await (const event of events(response.body)) {
        last = event.id;
        pause = FIRST_PAUSE_MS;
        yield event;
        if (event.id.includes(".")) return; // The job has ended.
      }
    } catch (error) {
      if (signal.aborted) return;
      if (error.status && error.status !== 429 && error.status < 500) throw error;
    }
    await slept(pause, signal);
    pause = Math.min(2 * pause, LONGEST_PAUSE_MS);
  }
}

/** The events in a text/event-stream. @param {ReadableStream<Uint8Array>} body */
async function* events(body) {
  let rest = "";
  for await (const chunk of chunks(body.pipeThrough(new TextDecoderStream()))) {
    const blocks = (rest + chunk).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      const fields = Object.fromEntries(block.split("\n").map(pair));
      if (fields.data) yield { id: fields.id, kind: fields.event, data: JSON.parse(fields.data) };
    }
  }
}

function pair(line) {
  const colon = line.indexOf(":");
  return [line.slice(0, colon), line.slice(colon + 1).replace(/^ /, "")];
}

// Not every browser can iterate over a stream.
async function* chunks(stream) {
  const reader = stream.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    await reader.cancel().catch(() => {});
  }
}

function slept(milliseconds, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", () => { clearTimeout(timer); resolve(); }, { once: true });
  });
}

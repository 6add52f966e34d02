/* Server-sent events, read from a response as they come. */

// Pings come every ten seconds: a longer silence is a dead connection that nobody closed.
const SILENCE_MS = 30_000;

/** One event: what its `data` says as JSON, or the bare text of it. */
function eventOf(text) {
  const event = { name: "", id: "", data: null };
  for (const line of text.split("\n")) {
    const [field, value] = line.split(/: (.*)/s);
    if (field === "event") event.name = value;
    if (field === "id") event.id = value;
    if (field === "data") event.data = value.startsWith("{") ? JSON.parse(value) : value;
  }
  return event;
}

async function readWithin(reader) {
  let timer;
  const silence = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error("silent")), SILENCE_MS);
  });
  try {
    return await Promise.race([reader.read(), silence]);
  } finally {
    clearTimeout(timer);
  }
}

/** The events of a response; ends where the transfer ends, also when that was cut. */
export async function* eventsIn(response, signal) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let pending = "";
  try {
    for (;;) {
      const { value, done } = await readWithin(reader);
      if (done) return;
      const texts = (pending + value).split("\n\n");
      pending = texts.pop();
      yield* texts.map(eventOf).filter((event) => event.data !== null);
    }
  } catch (error) {
    if (signal?.aborted) throw error;
  } finally {
    reader.cancel().catch(() => {});
  }
}

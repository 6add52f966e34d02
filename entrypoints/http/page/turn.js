/* A turn followed to its end, through lost connections and restarts of the service. */

import { Unreachable, resume } from "./api.js";
import { eventsIn } from "./events.js";

const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 8_000;

/** Resolves after a pause that grows with `tries`, or as soon as the browser is online again. */
function pause(tries, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, Math.min(FIRST_PAUSE_MS * 2 ** tries, LONGEST_PAUSE_MS));
    const stop = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    addEventListener("online", resolve, { once: true, signal });
    signal.addEventListener("abort", stop, { once: true });
  });
}

/** What `ask` gives, asked as often as the service cannot be reached. */
export async function patiently(ask, { signal, onWaiting }) {
  for (let tries = 0; ; tries += 1) {
    try {
      const answer = await ask(signal);
      onWaiting(false);
      return answer;
    } catch (error) {
      if (!(error instanceof Unreachable)) throw error;
    }
    onWaiting(true);
    await pause(tries, signal);
  }
}

const isLast = (data) => data === "[DONE]" || data.type === "error";

/**
 * The events of a turn. `ask` begins it, and is asked again while nothing of it was seen: with an
 * Idempotency-Key that joins the same turn. Ends without a last event when the turn is over and only
 * the history knows how.
 */
export async function* eventsOf(ask, sessionId, patience) {
  let cursor = "";
  for (let cuts = 0; ; cuts += 1) {
    const next = cursor ? () => resume(sessionId, cursor, patience.signal) : ask;
    const response = await patiently(next, patience);
    if (response.status === 204) return;
    for await (const event of eventsIn(response, patience.signal)) {
      cuts = 0;
      cursor = event.id || cursor;
      sessionId = event.data.sessionId ?? sessionId;
      yield event;
      if (isLast(event.data)) return;
    }
    patience.onWaiting(true);
    await pause(cuts, patience.signal);
  }
}

/* The documented HTTP API, and nothing else: see docs/http_api.md. */

const BASE = new URL("../", import.meta.url);
const PROXY_IS_UP = 502;

/** The service said no; `code` is one of docs/http_api.md. */
export class Problem extends Error {
  constructor({ code, detail, turnId }, status, retryAfter) {
    super(detail);
    Object.assign(this, { code, status, retryAfter, turnId });
  }
}

/** The service could not be reached: nothing is known about what was asked. */
export class Unreachable extends Error {}

let serverClock = null;

/** The time at the server: the visitor's own clock may be wrong, and conversations end by theirs. */
export function serverNow() {
  return serverClock ? serverClock.told + performance.now() - serverClock.at : Date.now();
}

function learnTime(response) {
  const told = Date.parse(response.headers.get("date"));
  if (told) serverClock = { told, at: performance.now() };
}

async function problemOf(response) {
  const isProblem = response.headers.get("content-type")?.includes("problem+json");
  if (!isProblem && response.status >= PROXY_IS_UP) return new Unreachable();
  const said = isProblem ? await response.json() : { code: "internal_error", detail: "" };
  if (said.code === "shutting_down") return new Unreachable();
  return new Problem(said, response.status, Number(response.headers.get("retry-after")));
}

async function call(method, path, { body, headers, signal } = {}) {
  const json = body === undefined ? {} : { "content-type": "application/json" };
  const asked = { method, signal, headers: { ...json, ...headers }, credentials: "include", cache: "no-store" };
  if (body !== undefined) asked.body = JSON.stringify(body);
  let response;
  try {
    response = await fetch(new URL(path, BASE), asked);
  } catch (error) {
    throw signal?.aborted ? error : new Unreachable();
  }
  learnTime(response);
  if (!response.ok) throw await problemOf(response);
  return response;
}

const json = async (...asked) => (await call(...asked)).json();
const stream = { accept: "text/event-stream" };

export const open = (locale) => json("POST", "api/sessions", { body: { locale } });

export const say = (body, key, signal) =>
  call("POST", "api/chat", { body, signal, headers: { ...stream, "idempotency-key": key } });

export const again = (sessionId, body, key, signal) =>
  call("POST", `api/chat/${sessionId}/regenerate`, { body, signal, headers: { ...stream, "idempotency-key": key } });

/** The running reply behind `cursor`; Unreachable also while the service cannot look. */
export async function resume(sessionId, cursor, signal) {
  const headers = cursor ? { ...stream, "last-event-id": cursor } : stream;
  try {
    return await call("GET", `api/chat/${sessionId}/stream`, { signal, headers });
  } catch (error) {
    throw error.status === 503 ? new Unreachable() : error;
  }
}

/** A page of the history; `wanted` may have `before` and `limit`. */
export const history = (sessionId, wanted = {}) =>
  json("GET", `api/chat?${new URLSearchParams({ sessionId, ...wanted })}`);

export const stop = (sessionId, turnId) =>
  json("POST", `api/chat/${sessionId}/stop`, { body: turnId ? { turnId } : {} });

export const forget = (sessionId) => call("DELETE", `api/chat/${sessionId}`);

export const exported = async (sessionId) => (await call("GET", `api/chat/${sessionId}/export`)).blob();

export const giveKeyBack = () => call("DELETE", "api/client-key");

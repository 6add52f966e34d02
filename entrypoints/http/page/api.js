/* The documented HTTP API and nothing else: see docs/http_api.md. */

const BASE = new URL("../", import.meta.url);
const BAD_GATEWAY = 502;

/** The service refused a request; docs/http_api.md lists each `code`. */
export class Problem extends Error {
  constructor({ code, detail, turnId }, status, retryAfter) {
    super(detail);
    Object.assign(this, { code, status, retryAfter, turnId });
  }
}

/** The service could not be reached; it may still have carried out the request. */
export class Unreachable extends Error {}

let serverClock = null;

/** The server's time in milliseconds: the visitor's own clock may be wrong. */
export function serverNow() {
  return serverClock ? serverClock.date + performance.now() - serverClock.readAt : Date.now();
}

function updateServerClock(response) {
  const date = Date.parse(response.headers.get("date"));
  if (date) serverClock = { date, readAt: performance.now() };
}

async function errorFrom(response) {
  const isProblem = response.headers.get("content-type")?.includes("problem+json");
  if (!isProblem && response.status >= BAD_GATEWAY) return new Unreachable();
  const problem = isProblem ? await response.json() : { code: "internal_error", detail: "" };
  if (problem.code === "shutting_down") return new Unreachable();
  return new Problem(problem, response.status, Number(response.headers.get("retry-after")));
}

async function call(method, path, { body, headers, signal } = {}) {
  const type = body ? { "content-type": "application/json" } : {};
  const content = { body: body && JSON.stringify(body), headers: { ...type, ...headers } };
  const options = { method, signal, ...content, credentials: "include", cache: "no-store" };
  let response;
  try {
    response = await fetch(new URL(path, BASE), options);
  } catch (error) {
    throw signal?.aborted ? error : new Unreachable();
  }
  updateServerClock(response);
  if (!response.ok) throw await errorFrom(response);
  return response;
}

const json = async (...args) => (await call(...args)).json();
const stream = { accept: "text/event-stream" };

const streamReply = (path, body, key, signal) =>
  call("POST", path, { body, signal, headers: { ...stream, "idempotency-key": key } });

/** Creates a conversation that begins with the welcome or `continues` another; returns its session id. */
export const createSession = async (body, signal) =>
  (await json("POST", "api/sessions", { body, signal })).sessionId;

export const sendMessage = (...args) => streamReply("api/chat", ...args);

export const regenerate = (sessionId, ...args) =>
  streamReply(`api/chat/${sessionId}/regenerate`, ...args);

export const continueReply = (sessionId, ...args) =>
  streamReply(`api/chat/${sessionId}/continue`, ...args);

export const sendToolResults = (sessionId, ...args) =>
  streamReply(`api/chat/${sessionId}/tool-results`, ...args);

/** The rest of the open reply after `cursor`. A 503 is Unreachable here, so that it is retried. */
export async function resume(sessionId, cursor, signal) {
  const headers = cursor ? { ...stream, "last-event-id": cursor } : stream;
  try {
    return await call("GET", `api/chat/${sessionId}/stream`, { signal, headers });
  } catch (error) {
    throw error.status === 503 ? new Unreachable() : error;
  }
}

/** A page of the history; `query` may have `before` and `limit`. */
export const readHistory = (sessionId, query = {}) =>
  json("GET", `api/chat?${new URLSearchParams({ sessionId, ...query })}`);

export const stop = (sessionId, turnId) =>
  json("POST", `api/chat/${sessionId}/stop`, { body: turnId ? { turnId } : {} });

export const forget = (sessionId) => call("DELETE", `api/chat/${sessionId}`);

export const exportConversation = async (sessionId) =>
  (await call("GET", `api/chat/${sessionId}/export`)).blob();

export const deleteClientKey = () => call("DELETE", "api/client-key");

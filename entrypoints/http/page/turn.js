/* Follows a turn to its end, through lost connections and restarts of the service, and
   puts its reply together. */

import { Unreachable, resume } from "./api.js";

const FIRST_PAUSE_MS = 500;
const MAX_PAUSE_MS = 8_000;
// A silent stream gets a comment every 4 seconds, so this much silence means a dead connection.
const SILENCE_MS = 30_000;

/** One server-sent event. `data` is parsed if it is a JSON object; null if it is missing. */
function parseEvent(text) {
  const event = { name: "", id: "", data: null };
  for (const line of text.split("\n")) {
    const [field, value] = line.split(/: (.*)/s);
    if (field === "event") event.name = value;
    if (field === "id") event.id = value;
    if (field === "data") event.data = value.startsWith("{") ? JSON.parse(value) : value;
  }
  return event;
}

async function readWithTimeout(reader) {
  const timer = setTimeout(() => reader.cancel(), SILENCE_MS);
  return reader.read().finally(() => clearTimeout(timer));
}

/** The events of a response. Ends where the response ends, even if it was cut off. */
async function* readEvents(response, signal) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let pending = "";
  try {
    for (;;) {
      const { value, done } = await readWithTimeout(reader);
      if (done) return;
      const texts = (pending + value).split("\n\n");
      pending = texts.pop();
      yield* texts.map(parseEvent).filter((event) => event.data !== null);
    }
  } catch (error) {
    if (signal?.aborted) throw error;
  } finally {
    reader.cancel().catch(() => {});
  }
}

/** Resolves after a pause that doubles with each attempt, or when the browser comes online. */
function pause(attempt, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, Math.min(FIRST_PAUSE_MS * 2 ** attempt, MAX_PAUSE_MS));
    const stop = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    addEventListener("online", resolve, { once: true, signal });
    signal.addEventListener("abort", stop, { once: true });
  });
}

/** The result of `request`, repeated while the service cannot be reached. */
export async function withRetry(request, { signal, onWaiting }) {
  for (let attempt = 0; ; attempt += 1) {
    try {
      const result = await request(signal);
      onWaiting(false);
      return result;
    } catch (error) {
      if (!(error instanceof Unreachable)) throw error;
    }
    onWaiting(true);
    await pause(attempt, signal);
  }
}

const isLast = (data) => data === "[DONE]" || data.type === "error";

/**
 * The events of a turn. `request` is repeated until the first event arrives; because of its
 * Idempotency-Key it joins the same turn. If the last event is missing, the history shows how the turn ended.
 */
export async function* turnEvents(request, sessionId, control) {
  let cursor = "";
  for (let disconnects = 0; ; disconnects += 1) {
    const next = cursor ? () => resume(sessionId, cursor, control.signal) : request;
    const response = await withRetry(next, control);
    if (response.status === 204) return;
    for await (const event of readEvents(response, control.signal)) {
      disconnects = 0;
      cursor = event.id || cursor;
      sessionId = event.data.sessionId ?? sessionId;
      yield event;
      if (isLast(event.data)) return;
    }
    control.onWaiting(true);
    await pause(disconnects, control.signal);
  }
}

const STATUSES = { finish: "finished", abort: "interrupted", error: "failed" };

const emptyReply = () => ({ text: "", sources: [], calls: [] });

/** A reply that is being written. `cut` is the message that it continues; null for a new one. */
export function newReply(cut = null) {
  const { id = null, text, sources, calls } = cut ?? emptyReply();
  return { role: "assistant", id, text, sources, calls, status: "writing", cut };
}

function parsed(json) {
  try {
    return JSON.parse(json || "{}");
  } catch {
    return undefined;
  }
}

const newCall = ({ toolCallId, toolName, providerExecuted }, state) =>
  ({ id: toolCallId, name: toolName, isClients: !providerExecuted, state });

/** The calls of tools that this page has to run: the service waits for their results. */
export const openCalls = ({ finishReason, calls = [] }) =>
  finishReason === "tool-calls" ? calls.filter((call) => call.isClients && call.state === "open") : [];

/** Applies a chunk of a tool call or its result. The input is undefined if it is not JSON. */
function applyToolChunk(reply, { type, toolCallId, input, ...chunk }) {
  const call = reply.calls.find(({ id }) => id === toolCallId);
  if (!call) reply.calls.push(newCall({ toolCallId, ...chunk }, "open"));
  else if (type === "tool-input-available") call.input = input;
  else if (type === "tool-output-available") call.state = "done";
  else if (type === "tool-output-error") call.state = "failed";
}

function applyStart(reply, chunk) {
  // Without a cursor, a stream replays the reply from its start. Only one that was requested with
  // results of tools does not repeat what the reply had before.
  const before = reply.answered ?? emptyReply();
  const content = { ...before, sources: [...before.sources], calls: [...before.calls] };
  const { messageId: id, messageMetadata: { turnId } } = chunk;
  Object.assign(reply, { ...content, id, turnId, finishReason: undefined });
}

const newSource = ({ sourceId, title, url, providerMetadata }) =>
  ({ id: sourceId, title, url, excerpt: providerMetadata?.privity?.excerpt });

/** Applies one chunk to the reply. Reasoning is not shown. */
export function applyChunk(reply, chunk) {
  const { type, id, code, finishReason } = chunk;
  if (type === "start") applyStart(reply, chunk);
  // The text p0 continues the text before it.
  if (type === "text-start" && reply.text && id !== "p0") reply.text += "\n\n";
  if (type === "text-delta") reply.text += chunk.delta;
  if (type?.startsWith("source-")) reply.sources.push(newSource(chunk));
  if (type?.startsWith("tool-")) applyToolChunk(reply, chunk);
  if (type in STATUSES) Object.assign(reply, { status: STATUSES[type], code, finishReason });
}

/** The name of the text that says how a message ended; a complete one has none. */
export function endingOf({ status, finishReason, text }) {
  if (status !== "finished") return status;
  // A model that thinks may send line ends before its answer.
  const isBlank = !text.trim();
  if (finishReason === "length") return isBlank ? "onlyThought" : "cut";
  if (finishReason === "content-filter") return "filtered";
  // A client that runs tools continues a reply that calls some.
  return isBlank && /^(stop|other)$/.test(finishReason) ? "noText" : "complete";
}

/** Whether a message is a reply that has text but is not complete. */
export const canContinue = (message) =>
  /^(cut|interrupted|failed)$/.test(endingOf(message)) && message.text.trim() !== "";

const urlsOfImages = (parts) => parts.filter(({ type }) => type === "image").map(({ url }) => url);

function callsFrom(parts) {
  const results = parts.filter(({ type }) => type === "tool-result");
  const stateOf = (result) => (result ? (result.failed ? "failed" : "done") : "open");
  return parts.filter(({ type }) => type === "tool-call").map((part) => {
    const state = stateOf(results.find(({ toolCallId }) => toolCallId === part.toolCallId));
    return { ...newCall(part, state), input: parsed(part.arguments) };
  });
}

/** A message of the history, as the page shows it. `images` are data URLs. */
export const messageFrom = ({ id, role, content, status, finishReason, parts, sources = [] }) => ({
  ...{ id, role, text: content, status, finishReason, sources },
  images: urlsOfImages(parts),
  calls: callsFrom(parts),
});

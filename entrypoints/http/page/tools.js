/* Runs the tools of the host page that a reply calls, and sends their results.

   A call is begun at most once, in one tab. If the page is left during the call, nobody knows
   whether it had an effect, and the model is told so. */

import { readHistory, sendToolResults } from "./api.js";
import * as tabs from "./tabs.js";
import { messageFrom, openCalls, withRetry } from "./turn.js";

// How long the host page may take to register a tool, for example because it is still loading.
const MAX_WAIT_MS = 2_000;
const STEP_MS = 100;
// The service accepts no longer results.
const MAX_BYTES = 32_768;

const NOT_AVAILABLE = "This tool is not available on the page that the user has open.";
const INTERRUPTED = "The page was left during the call; it is unknown whether it had an effect.";
const NOT_JSON = "The arguments are not JSON.";
const NO_JSON = "The result of this tool is not JSON.";
const TOO_LONG = "The result of this tool is too long.";

const sleep = (signal) =>
  new Promise((resolve, reject) => {
    setTimeout(resolve, STEP_MS);
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });

/** Waits until the host page has registered all of these tools, or until its time has run out. */
async function waitForTools(calls, { tools, signal }) {
  const areMissing = () => calls.some(({ name }) => !tools.has(name));
  for (let waited = 0; waited < MAX_WAIT_MS && areMissing(); waited += STEP_MS) await sleep(signal);
}

const byteLength = (text) => new TextEncoder().encode(text).length;

function outcomeOf(value) {
  let json;
  try {
    json = JSON.stringify(value ?? null);
  } catch {
    return { error: NO_JSON };
  }
  if (json === undefined) return { error: NO_JSON };
  return byteLength(json) > MAX_BYTES ? { error: TOO_LONG } : { output: JSON.parse(json) };
}

/** A message that is too long to be sent says nothing that the model needs. */
function failureOf(error) {
  const text = String(error?.message || error);
  return { error: byteLength(text) > MAX_BYTES / 2 ? TOO_LONG : text };
}

async function outcome({ name, input }, { tools, signal }) {
  const run = tools.get(name);
  if (!run) return { error: NOT_AVAILABLE };
  if (input === undefined) return { error: NOT_JSON };
  try {
    return outcomeOf(await run(input, { signal }));
  } catch (error) {
    return failureOf(error);
  }
}

/** Rejects when `signal` is aborted. */
const aborted = (signal) =>
  new Promise((resolve, reject) => {
    signal.throwIfAborted();
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });

/** The results of these calls in the form of the API; `hasBegun` if they were begun before. */
async function resultsOf(calls, hasBegun, options) {
  if (!hasBegun) await waitForTools(calls, options);
  const outcomes = calls.map((call) => (hasBegun ? { error: INTERRUPTED } : outcome(call, options)));
  const all = await Promise.race([Promise.all(outcomes), aborted(options.signal)]);
  return all.map((one, number) => ({ toolCallId: calls[number].id, ...one }));
}

const idsOf = (reply) => JSON.stringify([reply.id, ...openCalls(reply).map(({ id }) => id)]);
const stopMark = (reply) => `stopped ${idsOf(reply)}`;

export const areStopped = (reply) => tabs.lastCalls() === stopMark(reply);

/** Whether the host page has registered all tools that the reply calls. */
export const canRun = (reply, tools) => openCalls(reply).every(({ name }) => tools.has(name));

/** Shows that nobody runs the tools that the reply calls. Returns no changes of the conversation. */
export function giveUp(reply) {
  for (const call of openCalls(reply)) call.state = "failed";
  return {};
}

/** Gives the calls up for good: after a reload, they are not begun again. */
export function stopCalls(reply) {
  if (openCalls(reply).length) tabs.saveLastCalls(stopMark(reply));
  giveUp(reply);
  reply.status = "finished";
}

async function haveResults(reply, sessionId, control) {
  const { messages } = await withRetry(() => readHistory(sessionId, { limit: 1 }), control);
  return idsOf(messageFrom(messages.at(-1))) !== idsOf(reply);
}

async function runAndSend(reply, { sessionId, tools }, control) {
  const { signal } = control;
  const calls = openCalls(reply);
  const hasBegun = tabs.lastCalls() === idsOf(reply);
  // Another tab may have sent the results while this one waited.
  if ((hasBegun || !reply.isOwn) && (await haveResults(reply, sessionId, control))) return null;
  tabs.saveLastCalls(idsOf(reply));
  const results = await resultsOf(calls, hasBegun, { tools, signal });
  const key = crypto.getRandomValues(new Uint32Array(4)).join("-");
  const request = () => sendToolResults(sessionId, { results }, key, signal);
  let response = await withRetry(request, control);
  results.forEach(({ error }, number) => (calls[number].state = error ? "failed" : "done"));
  const cut = { ...reply, status: "finished" };
  Object.assign(reply, { cut, answered: cut, isOwn: true });
  return () => {
    const first = response;
    response = null;
    return first ?? request();
  };
}

/**
 * Runs the tools that the reply calls. Returns the request for the rest of the reply; null if another
 * tab has sent the results.
 */
export async function sendResults(reply, conversation, control) {
  try {
    return await tabs.runTools(control.signal, () => runAndSend(reply, conversation, control));
  } catch (error) {
    reply.status = "finished";
    throw error;
  }
}

/* This browser's view of one conversation, which the service owns.

   status  "opening", "open", or "none" if there is no conversation; a message then starts one
   notice  what happened or went wrong, as {code, …}; words.*.json have the texts
   waiting whether a request is being retried because the service cannot be reached */

import * as api from "./api.js";
import { applyChunk, emptyReply, messageFrom } from "./reply.js";
import * as tabs from "./tabs.js";
import { turnEvents, withRetry } from "./turn.js";

const IN_HISTORY = ["turn_in_progress", "request_already_answered"];
const EMPTY = { messages: [], next: null, expiresAt: null, notice: null, waiting: false };

// Without https, pages have no randomUUID.
const newKey = () => crypto.getRandomValues(new Uint32Array(4)).join("-");

const isFromUser = ({ role }) => role === "user";

/** Runs one task at a time. A task gets `signal` and `onWaiting`: see `withRetry`. */
class TaskRunner {
  #running = null;
  #queued = null;

  constructor(onError, onWaiting) {
    Object.assign(this, { onError, onWaiting });
  }

  get isRunning() {
    return this.#running !== null;
  }

  cancel() {
    this.#running?.abort();
    this.#running = null;
  }

  /** Cancels the running task and runs this one. */
  async run(task) {
    this.cancel();
    const controller = (this.#running = new AbortController());
    const { signal } = controller;
    let isWaiting = false;
    const onWaiting = (waiting) => {
      if (!signal.aborted && waiting !== isWaiting) this.onWaiting(waiting);
      isWaiting = waiting;
    };
    try {
      await task({ signal, onWaiting });
    } catch (error) {
      if (!signal.aborted) this.onError(error);
    }
    if (this.#running !== controller) return;
    this.#running = null;
    // Not awaited: the caller waits for its own task only.
    this.#runQueued();
  }

  /** Runs the task after the running one has ended. Only the task queued last is run. */
  async runNext(task) {
    this.#queued = task;
    if (!this.isRunning) await this.#runQueued();
  }

  async #runQueued() {
    const task = this.#queued;
    this.#queued = null;
    if (task) await this.run(task);
  }
}

export class Conversation extends EventTarget {
  #tasks = new TaskRunner((error) => this.#fail(error), (waiting) => this.#set({ waiting }));
  #isRequesting = false;

  constructor({ locale, context }) {
    super();
    Object.assign(this, EMPTY, { locale, context, sessionId: null, status: "opening" });
    tabs.onChange(() => this.refresh());
  }

  /** The reply that is being written, or null. */
  get reply() {
    const last = this.messages.at(-1);
    return last?.status === "writing" ? last : null;
  }

  #set(changes) {
    Object.assign(this, changes);
    this.dispatchEvent(new Event("change"));
  }

  #fail = (error) => {
    const code = error.code ?? (error instanceof api.Unreachable ? "unreachable" : null);
    if (!code) throw error;
    if (code === "conversation_not_found") {
      return this.#end(this.messages.length ? "conversation_gone" : null);
    }
    const status = this.sessionId ? "open" : "none";
    // The history shows it: no notice.
    const notice = IN_HISTORY.includes(code) ? null : { code, seconds: error.retryAfter };
    this.#set({ status, waiting: false, notice });
    return notice ?? this.refresh();
  };

  #end(code) {
    tabs.removeSession(this.sessionId);
    const notice = code && { code, canStartNew: true };
    this.#set({ ...EMPTY, sessionId: null, status: "none", notice });
  }

  #saveSession(sessionId) {
    Object.assign(this, { sessionId, status: "open" });
    tabs.saveSession(sessionId);
    tabs.announceChange();
  }

  /** Opens this browser's conversation, or a new one with the assistant's welcome. */
  async start() {
    if (tabs.session()) await this.refresh();
    if (!this.sessionId && !this.#tasks.isRunning && !this.notice) await this.startNew();
  }

  startNew() {
    return this.#tasks.run(async (control) => {
      const session = await withRetry(() => api.createSession(this.locale), control);
      const welcome = { role: "assistant", id: null, text: session.welcome, status: "finished" };
      this.#saveSession(session.sessionId);
      this.#set({ messages: [welcome], expiresAt: session.expiresAt, notice: null });
    });
  }

  /** Reads the conversation again, and follows a reply if one is being written. */
  async refresh() {
    await this.#tasks.runNext((control) => this.#load(control));
  }

  async #load(control) {
    const id = tabs.session();
    if (!id) return this.sessionId && this.#end("conversation_gone");
    this.sessionId = id;
    const { messages, turn, next, expiresAt } = await withRetry(() => api.readHistory(id), control);
    const failure = turn?.status === "failed" ? { code: turn.error, canRetry: true } : null;
    const isOutdated = this.notice?.canRetry || this.notice?.canStartNew;
    const notice = failure ?? (isOutdated ? null : this.notice);
    this.#set({ status: "open", messages: messages.map(messageFrom), next, expiresAt, notice });
    if (turn?.status !== "open") return undefined;
    return this.#follow(() => api.resume(id, "", control.signal), control);
  }

  loadEarlier() {
    const prepend = ({ next, messages }) =>
      this.#set({ next, messages: [...messages.map(messageFrom), ...this.messages] });
    const reading = api.readHistory(this.sessionId, { before: this.next });
    return reading.then(prepend, this.#fail);
  }

  async #follow(request, control) {
    const reply = emptyReply();
    this.#set({ messages: [...this.messages, reply] });
    for await (const event of turnEvents(request, this.sessionId, control)) this.#apply(event, reply);
    if (reply.status === "writing") return this.#load(control);
    if (reply.code === "conversation_gone") return this.#end(reply.code);
    if (!reply.code) return undefined;
    this.#set({ notice: { code: reply.code, canRetry: true } });
    return this.#refreshExpiry();
  }

  #apply({ name, data }, reply) {
    if (name === "session-id") this.#onSessionId(data);
    applyChunk(reply, data);
    if (data.type === "start") {
      if (this.#isRequesting) tabs.saveOwnTurn(reply.turnId);
      reply.isOwn = reply.turnId === tabs.ownTurn();
    }
    this.#set({ expiresAt: data.messageMetadata?.expiresAt ?? this.expiresAt });
  }

  /** A new turn restarts retention, but a turn that fails does not stream the new expiry. */
  async #refreshExpiry() {
    const { sessionId, expiresAt } = await api.readHistory(this.sessionId, { limit: 1 }).catch(() => this);
    if (sessionId === this.sessionId) this.#set({ expiresAt });
  }

  #onSessionId({ sessionId, restarted }) {
    this.#saveSession(sessionId);
    if (this.messages.filter(isFromUser).length === 1) this.#refreshExpiry();
    if (restarted) this.#set({ messages: this.messages.slice(-2), notice: { code: "restarted" } });
  }

  /** Sends a message. Resolves to whether the service accepted it. */
  send(text) {
    const message = { role: "user", id: null, text, status: "finished" };
    const sessionId = this.sessionId ?? undefined;
    const body = { message: text, sessionId, locale: this.locale, context: this.context?.() };
    const key = newKey();
    return this.#request([...this.messages, message], (signal) => api.sendMessage(body, key, signal));
  }

  /** Requests another reply to the user's last message, or to `text` in its place. Resolves like `send`. */
  regenerate(text) {
    const last = this.messages.findLastIndex(isFromUser);
    const messages = this.messages.slice(0, last + 1);
    if (text) messages[last] = { ...messages[last], text };
    const body = text ? { message: text } : {};
    const key = newKey();
    return this.#request(messages, (signal) => api.regenerate(this.sessionId, body, key, signal));
  }

  async #request(messages, request) {
    const before = this.messages;
    let isAccepted = false;
    await this.#tasks.run(async (control) => {
      this.#set({ messages, notice: null });
      this.#isRequesting = true;
      try {
        await this.#follow(() => request(control.signal), control);
        isAccepted = true;
      } finally {
        this.#isRequesting = false;
        isAccepted ||= Boolean(this.messages.at(-1)?.id);
        if (!isAccepted && this.messages !== before) this.#set({ messages: before });
      }
    });
    return isAccepted;
  }

  /** Stops the reply; the text so far is kept. */
  async stop() {
    const turnId = this.reply?.turnId;
    if (turnId) return api.stop(this.sessionId, turnId).catch(this.#fail);
    // The service may have received the message. If so, the history shows it.
    this.#tasks.cancel();
    return this.refresh();
  }

  dismiss = () => this.#set({ notice: null });

  /** Sets the language. A conversation without user messages is replaced by a new one. */
  setLocale(locale) {
    this.locale = locale;
    const isUntouched = this.status === "open" && !this.messages.some(isFromUser);
    return isUntouched ? this.startNew() : undefined;
  }

  export() {
    return api.exportConversation(this.sessionId).catch(this.#fail);
  }

  /** Deletes the conversation, and with `everything` this browser's client key too. */
  forget({ everything }) {
    return this.#tasks.run(async () => {
      if (this.sessionId) await api.forget(this.sessionId);
      if (everything) await api.deleteClientKey().then(tabs.clear);
      this.#end(everything ? "everything_forgotten" : "forgotten");
      tabs.announceChange();
    });
  }
}

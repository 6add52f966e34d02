/* This browser's view of one conversation, which the service owns.

   sessionId null until the first message: opening the page costs nothing
   notice    what happened or went wrong, as {code, …}; words.*.json have the texts
   waiting   whether a request is being retried because the service cannot be reached
   isFull    whether the service accepts no more messages in this conversation
   isMoving  whether a new conversation that continues this one is being created */

import * as api from "./api.js";
import * as tabs from "./tabs.js";
import { applyChunk, messageFrom, newReply, openCalls, turnEvents, withRetry } from "./turn.js";

const IN_HISTORY = ["turn_in_progress", "request_already_answered", "tool_results_unexpected"];
const SHOWN = { notice: null, waiting: false, isFull: false, isMoving: false };
const EMPTY = { messages: [], next: null, expiresAt: null, ...SHOWN };

// Without https, pages have no randomUUID.
const newKey = () => crypto.getRandomValues(new Uint32Array(4)).join("-");

// The tab that requested a reply is the first to run the tools that it calls.
const HEAD_START_MS = 2_000;

const loadTools = () => import("./tools.js").catch(() => Promise.reject(new api.Unreachable()));

const isFromUser = ({ role }) => role === "user";

const message = (role, text) => ({ role, id: null, text, status: "finished" });

// The browser then asks whether to leave the page.
const askBeforeLeaving = (event) => event.preventDefault();

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
    const onWaiting = (waiting) => signal.aborted || this.onWaiting(waiting);
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
  #takeOver;

  /** `tools` are the functions of the host page that run the tools of the client, by name. */
  constructor({ words, context, tools = new Map() }) {
    super();
    // `next` is undefined until the stored conversation has been read.
    Object.assign(this, EMPTY, { words, context, tools, sessionId: null, next: undefined });
    tabs.onChange(() => this.refresh());
  }

  /** The reply that is being written, or null. */
  get reply() {
    const last = this.messages.at(-1);
    return last?.status === "writing" ? last : null;
  }

  get #welcome() {
    return message("assistant", this.words.welcome);
  }

  #set(changes) {
    Object.assign(this, changes);
    this.dispatchEvent(new Event("change"));
  }

  #fail = (error) => {
    const code = error.code ?? (error instanceof api.Unreachable ? "unreachable" : null);
    if (!code) throw error;
    if (code === "conversation_not_found") {
      return this.#end(this.messages.some(isFromUser) ? "conversation_gone" : null);
    }
    // For these codes, the history shows what happened.
    const notice = IN_HISTORY.includes(code) ? null : { code, seconds: error.retryAfter };
    const isFull = this.isFull || code === "conversation_full";
    this.#set({ waiting: false, isMoving: false, notice, isFull });
    return notice ?? this.refresh();
  };

  /** Shows why the conversation has ended; without a `code`, the welcome. */
  #end(code) {
    tabs.removeSession(this.sessionId);
    const notice = code && { code, canStartNew: true };
    const messages = code ? [] : [this.#welcome];
    this.#set({ ...EMPTY, sessionId: null, messages, notice });
  }

  /** Shows this browser's conversation; if there is none, the welcome. */
  start() {
    return tabs.session() ? this.refresh() : this.#end(null);
  }

  /** Shows the welcome; the next message begins a new conversation. */
  startNew() {
    const { sessionId } = this;
    this.#tasks.cancel();
    this.#end(null);
    if (sessionId) tabs.announceChange();
  }

  /** Continues in a new conversation, which begins with what is known of this one. */
  goOn() {
    return this.#tasks.run(async (control) => {
      const full = this.sessionId;
      this.#set({ notice: null, isMoving: true });
      const create = () => this.#create({ continues: full }, control.signal);
      this.sessionId = await tabs.openSession(control.signal, full, create);
      this.#set({ ...EMPTY, notice: { code: "continued" } });
      tabs.announceChange();
      await this.#load(control);
    });
  }

  /** Reads the conversation again, and follows a reply if one is being written. */
  async refresh() {
    await this.#tasks.runNext((control) => this.#load(control));
  }

  async #load(control, takesOver = false) {
    clearTimeout(this.#takeOver);
    const id = tabs.session() ?? this.sessionId;
    if (!id) return undefined;
    // Another tab may have gone on in a new conversation.
    if (this.sessionId && id !== this.sessionId) Object.assign(this, SHOWN);
    this.sessionId = id;
    const { messages, turn, next, expiresAt } = await withRetry(() => api.readHistory(id), control);
    // The answer may arrive after another task has taken over.
    control.signal.throwIfAborted();
    // Another tab has left this conversation to begin a new one.
    if (!tabs.session()) return this.#end(null);
    const failure = turn?.status === "failed" ? { code: turn.error, canRetry: true } : null;
    const isOver = this.notice?.canRetry || this.notice?.canStartNew;
    const notice = failure ?? (isOver ? null : this.notice);
    const shown = messages.map(messageFrom);
    const isOpen = turn?.status === "open";
    const cut = isOpen && shown.at(-1)?.id === turn.replyId ? shown.pop() : null;
    this.#set({ messages: shown, next, expiresAt, notice });
    if (isOpen) return this.#follow(() => api.resume(id, "", control.signal), control, newReply(cut));
    return this.#answerCalls(turn?.id === tabs.ownTurn(), control, takesOver);
  }

  /** Runs the tools of the host page that the last message calls, if this tab is the one to do so. */
  async #answerCalls(isOwn, control, takesOver = false) {
    const last = this.messages.at(-1) ?? {};
    if (!openCalls(last).length) return undefined;
    const { areStopped, canRun, giveUp, sendResults } = await loadTools();
    if (areStopped(last)) return this.#set(giveUp(last));
    if (!isOwn && !takesOver) return this.#takeOverLater();
    if (!isOwn && !canRun(last, this.tools)) return this.#set(giveUp(last));
    const { finishReason } = last;
    const reply = last.status === "writing" ? last : { ...newReply(last), finishReason, isOwn };
    const others = this.messages.slice(0, -1);
    this.#set({ messages: [...others, reply] });
    const request = await sendResults(reply, this, control);
    if (!request) return this.#load(control);
    this.#set({ messages: others });
    return this.#follow(request, control, reply);
  }

  #takeOverLater() {
    const takeOver = (control) => this.#load(control, true);
    this.#takeOver = setTimeout(() => this.#tasks.runNext(takeOver), HEAD_START_MS);
  }

  loadEarlier() {
    const prepend = ({ next, messages }) =>
      this.#set({ next, messages: [...messages.map(messageFrom), ...this.messages] });
    const reading = api.readHistory(this.sessionId, { before: this.next });
    return reading.then(prepend, this.#fail);
  }

  async #follow(request, control, reply) {
    this.#set({ messages: [...this.messages, reply] });
    for await (const event of turnEvents(request, this.sessionId, control)) this.#apply(event, reply);
    if (openCalls(reply).length) return this.#answerCalls(reply.isOwn, control);
    if (reply.status === "writing") return this.#load(control);
    if (reply.code === "conversation_gone") return this.#end(reply.code);
    if (!reply.code) return undefined;
    // A turn that failed before it wrote anything leaves the messages as they were.
    const isUnchanged = reply.text === (reply.cut?.text ?? "");
    const restored = (shown) => (isUnchanged && shown === reply ? (reply.cut ?? []) : shown);
    const messages = this.messages.flatMap(restored);
    this.#set({ messages, notice: { code: reply.code, canRetry: true } });
    return this.#refreshExpiry();
  }

  #apply({ name, data }, reply) {
    if (name === "session-id") this.#onSessionId(data);
    applyChunk(reply, data);
    if (data.type === "start") {
      removeEventListener("beforeunload", askBeforeLeaving);
      if (reply.isOwn) tabs.saveOwnTurn(reply.turnId);
      reply.isOwn = reply.turnId === tabs.ownTurn();
    }
    // While its tools run, there is no turn that could be stopped.
    const isWaiting = reply.isOwn && openCalls(reply).length;
    if (isWaiting) Object.assign(reply, { status: "writing", turnId: null });
    this.#set({ expiresAt: data.messageMetadata?.expiresAt ?? this.expiresAt });
  }

  /** A new turn restarts retention, but a turn that fails does not stream the new expiry. */
  async #refreshExpiry() {
    const { sessionId, expiresAt } = await api.readHistory(this.sessionId, { limit: 1 }).catch(() => this);
    if (sessionId === this.sessionId) this.#set({ expiresAt });
  }

  #onSessionId({ sessionId, restarted }) {
    this.sessionId = sessionId;
    tabs.saveSession(sessionId);
    tabs.announceChange();
    if (this.messages.filter(isFromUser).length === 1) this.#refreshExpiry();
    if (restarted) this.#set({ messages: this.messages.slice(-2), notice: { code: "restarted" } });
  }

  /**
   * The session that all tabs share. It is created before the first message, which then has a
   * client key: a repeated message is recognised only if it comes with the same key.
   */
  async #openSession(signal) {
    this.sessionId ??= await tabs.openSession(signal, null, () => this.#create({}, signal));
    return this.sessionId;
  }

  #create = (body, signal) => api.createSession({ ...body, locale: this.words.tag }, signal);

  /** Sends a message; a reply whose tools run is given up. Resolves to whether the service accepted it. */
  send(text) {
    const { reply } = this;
    const body = { message: text, locale: this.words.tag, context: this.context?.() };
    const key = newKey();
    const shown = this.sessionId || this.messages.length ? this.messages : [this.#welcome];
    return this.#request([...shown, message("user", text)], async (signal) => {
      if (reply) (await loadTools()).stopCalls(reply);
      body.sessionId ??= await this.#openSession(signal);
      return api.sendMessage(body, key, signal);
    });
  }

  /** Requests another reply to the user's last message, or to `text` in its place. Resolves like `send`. */
  async regenerate(text) {
    // The second click of a double click arrives before the page has hidden the button.
    if (this.reply) return false;
    const last = this.messages.findLastIndex(isFromUser);
    const messages = this.messages.slice(0, last + 1);
    if (text) messages[last] = { ...messages[last], text };
    const edit = text ? { message: text, context: this.context?.() } : {};
    const body = { ...edit, locale: this.words.tag };
    const key = newKey();
    return this.#request(messages, (signal) => api.regenerate(this.sessionId, body, key, signal));
  }

  /** Requests the rest of the last reply. */
  async continueReply() {
    if (this.reply) return false;
    const [cut, key] = [this.messages.at(-1), newKey()];
    const request = (signal) => api.continueReply(this.sessionId, { messageId: cut.id }, key, signal);
    return this.#request(this.messages.slice(0, -1), request, newReply(cut));
  }

  async #request(messages, request, reply = newReply()) {
    const before = this.messages;
    reply.isOwn = true;
    let isAccepted = false;
    await this.#tasks.run(async (control) => {
      this.#set({ messages, notice: null });
      addEventListener("beforeunload", askBeforeLeaving);
      try {
        await this.#follow(() => request(control.signal), control, reply);
        isAccepted = true;
      } finally {
        // While its tools run, a reply that has begun has null. Another request may have begun since.
        if (reply.turnId !== undefined) isAccepted = true;
        else removeEventListener("beforeunload", askBeforeLeaving);
        if (!isAccepted && this.messages !== before) this.#set({ messages: before });
      }
    });
    if (this.next === undefined) this.refresh();
    return isAccepted;
  }

  /** Stops the reply; the text so far is kept. */
  async stop() {
    const { reply } = this;
    if (reply?.turnId) return api.stop(this.sessionId, reply.turnId).catch(this.#fail);
    if (reply && openCalls(reply).length) (await loadTools()).stopCalls(reply);
    // The service may have received the message. If so, the history shows it.
    this.#tasks.cancel();
    return this.refresh();
  }

  dismiss = () => this.#set({ notice: null });

  warn = (code) => this.#set({ notice: { code } });

  /** Sets the language. A conversation without user messages is replaced by a new one. */
  setWords(words) {
    this.words = words;
    if (this.messages.length && !this.messages.some(isFromUser)) this.startNew();
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

/* One conversation as this browser knows it. The service owns it; what is here is a view of it.

   status  "opening", "open", or "none": nothing is kept at the service, and a message begins anew
   notice  what went wrong or came to pass, as {code, …}; the view has the words for it
   waiting whether the service cannot be reached, and is asked again and again */

import * as api from "./api.js";
import { beginning, hear, messageOf } from "./reply.js";
import * as tabs from "./tabs.js";
import { eventsOf, patiently } from "./turn.js";
import { Work } from "./work.js";

const NOTHING = { messages: [], next: null, expiresAt: null, notice: null, waiting: false };

// Not randomUUID, which pages without https do not have.
const newKey = () => crypto.getRandomValues(new Uint32Array(4)).join("-");

export class Conversation extends EventTarget {
  #work = new Work((error) => this.#failed(error), (waiting) => this.#changed({ waiting }));
  #asking = false;

  constructor({ locale, context }) {
    super();
    Object.assign(this, NOTHING, { locale, context, sessionId: null, status: "opening" });
    tabs.whenTold(() => this.look());
  }

  /** The reply that is being written, if one is. */
  get reply() {
    const last = this.messages.at(-1);
    return last?.status === "writing" ? last : null;
  }

  #changed(changes) {
    Object.assign(this, changes);
    this.dispatchEvent(new Event("change"));
  }

  #failed(error) {
    const code = error.code ?? (error instanceof api.Unreachable ? "unreachable" : null);
    if (!code) throw error;
    if (code === "conversation_not_found") return this.#ended(this.messages.length ? "conversation_gone" : null);
    const status = this.sessionId ? "open" : "none";
    // What is being written is followed, and the line that says so says enough.
    const notice = code === "turn_in_progress" ? null : { code, seconds: error.retryAfter };
    this.#changed({ status, waiting: false, notice });
    return notice ?? this.look();
  }

  #ended(code) {
    tabs.dropSession(this.sessionId);
    const notice = code && { code, begin: true };
    this.#changed({ ...NOTHING, sessionId: null, status: "none", notice });
  }

  #named(sessionId) {
    Object.assign(this, { sessionId, status: "open" });
    tabs.keepSession(sessionId);
    tabs.tell();
  }

  /** The conversation this browser has, or a new one with the assistant's welcome. */
  async begin() {
    if (tabs.session()) await this.look();
    if (!this.sessionId && !this.#work.isDoing && !this.notice) await this.beginAnew();
  }

  beginAnew() {
    return this.#work.doing(async (patience) => {
      const opened = await patiently(() => api.open(this.locale), patience);
      const welcome = { role: "assistant", id: null, text: opened.welcome, status: "finished" };
      this.#named(opened.sessionId);
      this.#changed({ messages: [welcome], expiresAt: opened.expiresAt, notice: null });
    });
  }

  /** Reads what there is, and follows a reply that another tab, or this page before, asked for. */
  async look() {
    await this.#work.next((patience) => this.#read(patience));
  }

  async #read(patience) {
    const id = tabs.session();
    if (!id) return this.sessionId && this.#ended("conversation_gone");
    this.sessionId = id;
    const { messages, turn, next, expiresAt } = await patiently(() => api.history(id), patience);
    const failed = turn?.status === "failed" ? { code: turn.error, again: true } : null;
    const notice = failed ?? (this.notice?.again || this.notice?.begin ? null : this.notice);
    this.#changed({ status: "open", messages: messages.map(messageOf), next, expiresAt, notice });
    if (turn?.status !== "open") return undefined;
    return this.#follow(() => api.resume(id, "", patience.signal), patience);
  }

  earlier() {
    const shown = (read) =>
      this.#changed({ next: read.next, messages: [...read.messages.map(messageOf), ...this.messages] });
    return api.history(this.sessionId, { before: this.next }).then(shown, (error) => this.#failed(error));
  }

  async #follow(ask, patience) {
    const reply = beginning();
    this.#changed({ messages: [...this.messages, reply] });
    for await (const event of eventsOf(ask, this.sessionId, patience)) this.#heard(reply, event);
    if (reply.status === "writing") return this.#read(patience);
    if (reply.code === "conversation_gone") return this.#ended(reply.code);
    if (!reply.code) return undefined;
    this.#changed({ notice: { code: reply.code, again: true } });
    return this.#learnStay();
  }

  #heard(reply, { name, data }) {
    if (name === "session-id") this.#met(data);
    hear(reply, data);
    if (data.type === "start") {
      if (this.#asking) tabs.keepOwnTurn(reply.turnId);
      reply.isOwn = reply.turnId === tabs.ownTurn();
    }
    this.#changed({ expiresAt: data.messageMetadata?.expiresAt ?? this.expiresAt });
  }

  /** A turn restarts the stay when it begins; the stream tells the new one only with a good end. */
  async #learnStay() {
    const { sessionId, expiresAt } = await api.history(this.sessionId, { limit: 1 }).catch(() => this);
    if (sessionId === this.sessionId) this.#changed({ expiresAt });
  }

  #met({ sessionId, restarted }) {
    this.#named(sessionId);
    if (this.messages.filter((message) => message.role === "user").length === 1) this.#learnStay();
    if (restarted) this.#changed({ messages: this.messages.slice(-2), notice: { code: "restarted" } });
  }

  /** Says something; whether it was taken. */
  say(text) {
    const message = { role: "user", id: null, text, status: "finished" };
    const members = { sessionId: this.sessionId ?? undefined, locale: this.locale, context: this.context?.() };
    const key = newKey();
    return this.#ask([...this.messages, message], (signal) => api.say({ message: text, ...members }, key, signal));
  }

  /** Asks for another answer to the newest message, which may be said anew; whether it was taken. */
  again(text) {
    const at = this.messages.findLastIndex((message) => message.role === "user");
    const kept = this.messages.slice(0, at + 1);
    if (text) kept[at] = { ...kept[at], text };
    const key = newKey();
    return this.#ask(kept, (signal) => api.again(this.sessionId, text ? { message: text } : {}, key, signal));
  }

  async #ask(messages, request) {
    const before = this.messages;
    let isTaken = false;
    await this.#work.doing(async (patience) => {
      this.#changed({ messages, notice: null });
      this.#asking = true;
      try {
        await this.#follow(() => request(patience.signal), patience);
        isTaken = true;
      } finally {
        this.#asking = false;
        isTaken ||= Boolean(this.messages.at(-1)?.id);
        if (!isTaken && this.messages !== before) this.#changed({ messages: before });
      }
    });
    return isTaken;
  }

  /** Stops the reply; what was said of it stays. */
  async stop() {
    const turnId = this.reply?.turnId;
    if (turnId) return api.stop(this.sessionId, turnId).catch((error) => this.#failed(error));
    // Perhaps it was heard all the same: what is kept will tell.
    this.#work.leave();
    return this.look();
  }

  dismiss = () => this.#changed({ notice: null });

  /** Speaks another language from now on; a conversation of which nothing was said begins in it. */
  speak(locale) {
    this.locale = locale;
    const isUntouched = this.status === "open" && this.messages.every((message) => message.role !== "user");
    return isUntouched ? this.beginAnew() : undefined;
  }

  exported() {
    return api.exported(this.sessionId).catch((error) => this.#failed(error));
  }

  /** Forgets the conversation for good, and with `everything` gives this browser's key back too. */
  forget({ everything }) {
    return this.#work.doing(async () => {
      if (this.sessionId) await api.forget(this.sessionId);
      if (everything) await api.giveKeyBack().then(tabs.forgetAll);
      this.#ended(everything ? "everything_forgotten" : "forgotten");
      tabs.tell();
    });
  }
}

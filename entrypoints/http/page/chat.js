/* The chat, built from its views, for both the page and the widget. */

import { announcer } from "./announcer.js";
import { button, make, setText } from "./dom.js";
import { logView } from "./log_view.js";
import { retentionView } from "./retention.js";
import { openCalls } from "./turn.js";

/** The status line: writing, waiting or offline. */
function statusView(words) {
  const element = make("p", { className: "status", role: "status" });
  const statusText = ({ waiting, isMoving, reply }) => {
    if (!navigator.onLine) return words.offline;
    if (isMoving) return words.moving;
    if (waiting) return words.waiting;
    if (!reply) return "";
    return reply.id && !reply.isOwn ? words.writingElsewhere : words.writing;
  };
  return { element, update: (conversation) => setText(element, statusText(conversation)) };
}

const needsNew = ({ canStartNew, code }) =>
  canStartNew || code === "conversation_full" || code === "model_context_exceeded";

/** What went wrong, with buttons for `actions`: `regenerate`, `goOn`, `startNew` and `dismiss`. */
function noticeView(words, actions) {
  const text = make("p", { role: "alert" });
  const retry = button(words.retry, () => actions.regenerate());
  const goOn = button(words.goOn, actions.goOn);
  const startNew = button(words.newConversation, actions.startNew);
  const dismiss = button("×", actions.dismiss, { ariaLabel: words.dismiss, className: "dismiss" });
  const element = make("div", { className: "notice" }, text, retry, goOn, startNew, dismiss);

  function update({ notice, isFull, reply, messages }) {
    const isShown = Boolean(notice) && !reply;
    // Never hide the alert itself: if it appears together with its text, it is not read aloud.
    element.classList.toggle("empty", !isShown);
    setText(text, isShown ? words.problem(notice) : "");
    // A reply has buttons of its own, which need not discard its text.
    retry.hidden = !notice?.canRetry || messages.at(-1)?.role === "assistant";
    goOn.hidden = !notice || !isFull;
    startNew.hidden = !notice || !needsNew(notice);
    dismiss.hidden = Boolean(notice?.canStartNew);
  }
  return { element, update };
}

function textBox(words) {
  const grow = () => {
    box.style.blockSize = "auto";
    box.style.blockSize = `${box.scrollHeight + 2}px`;
  };
  const label = words.message;
  const box = make("textarea", {
    ...{ dir: "auto", rows: 1, enterKeyHint: "send", oninput: grow },
    ...{ placeholder: label, ariaLabel: label },
    // Otherwise browsers keep the text and restore it for the next visitor.
    autocomplete: "off",
  });
  return { box, set: (value) => ((box.value = value), grow()) };
}

/**
 * The message box: Enter sends, Shift+Enter starts a new line.
 * `actions` are `send`, `regenerate`, `stop` and `tooLong`; the first two resolve to whether the text was
 * accepted, and the last one says that it is too long.
 */
function composer(words, actions) {
  const { box, set } = textBox(words);
  const send = make("button", { type: "submit", className: "main" }, words.send);
  const stop = button(words.stop, actions.stop, { className: "main" });
  const cancel = button(words.cancel, () => cancelEdit());
  const editing = make("p", { className: "editing", hidden: true }, words.editing, " ", cancel);
  const element = make("form", { className: "composer", onsubmit: submit }, editing, box, send, stop);
  const hasFocus = () => element.contains(element.getRootNode().activeElement);
  let isWriting = false;

  function cancelEdit() {
    editing.hidden = true;
    set("");
    box.focus();
  }

  async function submit(event) {
    event.preventDefault();
    const text = box.value;
    if (isWriting || !text.trim()) return;
    // The box has no maxlength: browsers would cut off the end of a pasted text without a word.
    if ([...text].length > words.messageCharacters) return actions.tooLong();
    const wasEditing = !editing.hidden;
    editing.hidden = true;
    set("");
    const isAccepted = await (wasEditing ? actions.regenerate(text) : actions.send(text));
    if (isAccepted) return;
    editing.hidden = !wasEditing;
    set(box.value ? `${text}\n${box.value}` : text);
  }

  box.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !editing.hidden) cancelEdit();
    // In an input method editor, Enter confirms the composed text.
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    element.requestSubmit();
  });

  function update({ reply }) {
    const hadFocus = hasFocus();
    // While the tools of the host page run, the visitor may write instead of waiting.
    isWriting = reply && !openCalls(reply).length;
    send.hidden = isWriting;
    stop.hidden = !reply;
    if (hadFocus && !hasFocus()) box.focus();
  }

  function edit(text) {
    editing.hidden = false;
    set(text);
    box.focus();
  }
  return { element, update, edit, set, focus: () => box.focus(), draft: () => box.value };
}

function buildViews(conversation, words) {
  const actions = {
    send: (text) => (log.scrollToNewest(), conversation.send(text)),
    regenerate: (text) => (log.scrollToNewest(), conversation.regenerate(text)),
    // The button disappears, and would lose the focus.
    continueReply: () => (log.focus(), log.scrollToNewest(), conversation.continueReply()),
    edit: (text) => input.edit(text),
    stop: () => conversation.stop(),
    tooLong: () => conversation.warn("too_many_characters"),
    // The button disappears, and would lose the focus.
    goOn: () => (input.focus(), conversation.goOn()),
    startNew: () => conversation.startNew(),
    dismiss: () => (conversation.dismiss(), input.focus()),
    loadEarlier: () => conversation.loadEarlier(),
  };
  const log = logView(words, actions);
  const input = composer(words, actions);
  const retention = retentionView(words, conversation);
  const notice = noticeView(words, actions);
  const views = [log, announcer(words), statusView(words), notice, input, retention];
  return { views, input, retention };
}

/**
 * Shows a conversation in `container`. Returns `remove`, which stops updating it and returns the
 * unsent draft, and `focus`, which puts the cursor into the message box.
 */
export function show(container, conversation, words, draft = "") {
  const { views, input, retention } = buildViews(conversation, words);
  const listening = new AbortController();
  const { signal } = listening;
  let isScheduled = false;
  const render = () => {
    isScheduled = false;
    if (!signal.aborted) views.forEach((view) => view.update(conversation));
  };
  const schedule = () => {
    if (!isScheduled) requestAnimationFrame(render);
    isScheduled = true;
  };
  conversation.addEventListener("change", schedule, { signal });
  for (const event of ["online", "offline"]) addEventListener(event, schedule, { signal });
  const attributes = { className: "chat", lang: words.tag, dir: words.direction };
  const elements = views.map((view) => view.element);
  container.replaceChildren(make("div", attributes, ...elements, retention.dialog));
  input.set(draft);
  render();
  const remove = () => {
    listening.abort();
    retention.stop();
    return input.draft();
  };
  return { remove, focus: input.focus };
}

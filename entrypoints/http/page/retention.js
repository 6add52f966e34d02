/* How long the conversation is kept, and the buttons to forget or export it. */

import { serverNow } from "./api.js";
import { button, make, setText } from "./dom.js";

const SECOND_MS = 1_000;

function download(blob) {
  const url = URL.createObjectURL(blob);
  make("a", { href: url, download: "conversation.json" }).click();
  setTimeout(() => URL.revokeObjectURL(url), SECOND_MS);
}

/** Returns the dialog, and `ask(question, action)`: `action` is run if the visitor agrees. */
function confirmDialog(words) {
  const text = make("p", { id: "question" });
  const close = () => dialog.close();
  let agree;
  const keep = button(words.keep, close);
  const yes = button(words.forgetYes, () => (close(), agree()), { className: "main" });
  const choices = make("div", { className: "choices" }, keep, yes);
  const dialog = make("dialog", { "aria-labelledby": "question" }, text, choices);

  function ask(question, action) {
    text.textContent = question;
    agree = action;
    dialog.showModal();
    keep.focus();
  }
  return { dialog, ask };
}

export function retentionView(words, conversation) {
  const { dialog, ask } = confirmDialog(words);
  const remaining = make("span", { role: "timer" });
  const lock = make("span", { className: "lock", ariaHidden: "true" });
  const sealed = make("p", {}, lock, words.sealed, " ", remaining);
  const nothing = make("p", {}, words.nothingKept);
  const exportButton = button(words.export, async () => {
    const blob = await conversation.export();
    if (blob) download(blob);
  });
  const forgetAfter = (question, everything) => () =>
    ask(question, () => conversation.forget({ everything }));
  const forget = button(words.forget, forgetAfter(words.forgetQuestion, false));
  const everything = button(words.forgetEverything, forgetAfter(words.forgetEverythingQuestion, true));
  const buttons = make("div", {}, forget, exportButton, everything);
  const element = make("footer", { className: "retention" }, sealed, nothing, buttons);

  function tick() {
    if (!conversation.expiresAt) return;
    const seconds = Math.floor((Date.parse(conversation.expiresAt) - serverNow()) / SECOND_MS);
    const time = words.duration(Math.max(0, seconds));
    setText(remaining, words.forgottenIn.replace("{time}", time));
    if (seconds < 0) conversation.refresh();
  }
  const timer = setInterval(tick, SECOND_MS);

  function update({ sessionId }) {
    sealed.hidden = forget.hidden = exportButton.hidden = !sessionId;
    nothing.hidden = Boolean(sessionId);
    tick();
  }
  return { element, dialog, update, stop: () => clearInterval(timer) };
}

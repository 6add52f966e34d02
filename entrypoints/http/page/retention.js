/* How long the conversation is kept, and the buttons to forget or export it. */

import { serverNow } from "./api.js";
import { button, make, setText } from "./dom.js";

const SECOND_MS = 1_000;

function download(blob) {
  const url = URL.createObjectURL(blob);
  make("a", { href: url, download: "conversation.json" }).click();
  setTimeout(() => URL.revokeObjectURL(url), SECOND_MS);
}

/** Returns the dialog, and `confirm(question)`, which resolves to whether the visitor agreed. */
function confirmDialog(words) {
  const text = make("p", { id: "question" });
  const pending = [];
  const close = (isConfirmed) => () => (dialog.close(), pending.pop()(isConfirmed));
  const keep = button(words.keep, close(false));
  const yes = button(words.forgetYes, close(true), { className: "main" });
  const choices = make("div", { className: "choices" }, keep, yes);
  const dialog = make("dialog", { "aria-labelledby": "question" }, text, choices);

  // The event fires late: by then the dialog may be open with the next question.
  const onClose = () => dialog.open || pending.splice(0).forEach((resolve) => resolve(false));
  dialog.addEventListener("close", onClose);

  const confirm = (question) =>
    new Promise((resolve) => {
      text.textContent = question;
      pending.push(resolve);
      dialog.showModal();
      keep.focus();
    });
  return { dialog, confirm };
}

export function retentionView(words, conversation) {
  const { dialog, confirm } = confirmDialog(words);
  const remaining = make("span", { role: "timer" });
  const lock = make("span", { className: "lock", ariaHidden: "true" });
  const sealed = make("p", {}, lock, words.sealed, " ", remaining);
  const nothing = make("p", {}, words.nothingKept);
  const exportButton = button(words.export, async () => {
    const blob = await conversation.export();
    if (blob) download(blob);
  });
  const forgetAfter = async (question, everything) =>
    (await confirm(question)) && conversation.forget({ everything });
  const forget = button(words.forget, () => forgetAfter(words.forgetQuestion, false));
  const everything = button(words.forgetEverything, () =>
    forgetAfter(words.forgetEverythingQuestion, true));
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

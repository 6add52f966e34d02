/* A question that must be answered before something is gone for good. */

import { button, make } from "./dom.js";

/** Gives the dialog, and a function that asks in it and tells whether the answer was yes. */
export function question(words) {
  const text = make("p", { id: "question" });
  const waiting = [];
  const answered = (answer) => () => (dialog.close(), waiting.pop()(answer));
  const keep = button(words.keep, answered(false));
  const yes = button(words.forgetYes, answered(true), { className: "main" });
  const dialog = make("dialog", { "aria-labelledby": "question" }, text, make("div", { className: "answers" }, keep, yes));

  // Told late: by then the next question may be open already.
  dialog.addEventListener("close", () => dialog.open || waiting.splice(0).forEach((resolve) => resolve(false)));

  const sure = (asked) =>
    new Promise((resolve) => {
      text.textContent = asked;
      waiting.push(resolve);
      dialog.showModal();
      keep.focus();
    });
  return { dialog, sure };
}

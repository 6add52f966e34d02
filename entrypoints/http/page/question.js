/* A question that must be answered before something is gone for good. */

import { button, make } from "./dom.js";

/** Gives the dialog, and a function that asks in it and tells whether the answer was yes. */
export function question(words) {
  const text = make("p", { id: "question" });
  const answered = (answer) => () => dialog.close(answer);
  const keep = button(words.keep, answered(""));
  const yes = button(words.forgetYes, answered("yes"), { className: "main" });
  const dialog = make("dialog", { "aria-labelledby": "question" }, text, make("div", { className: "answers" }, keep, yes));

  const sure = (asked) =>
    new Promise((resolve) => {
      text.textContent = asked;
      dialog.returnValue = "";
      dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
      dialog.showModal();
      keep.focus();
    });
  return { dialog, sure };
}

/* What is going on, and what went wrong: in words, with a way on. */

import { button, make, tellText } from "./dom.js";

/** One quiet line: writing, elsewhere, offline. */
export function statusView(words) {
  const element = make("p", { className: "status", role: "status" });
  const saying = ({ waiting, reply }) => {
    if (!navigator.onLine) return words.offline;
    if (waiting) return words.waiting;
    if (!reply) return "";
    return reply.id && !reply.isOwn ? words.writingElsewhere : words.writing;
  };
  return { element, update: (conversation) => tellText(element, saying(conversation)) };
}

/** `wishes` are `again`, `begin` and `dismiss`. */
export function noticeView(words, wishes) {
  const text = make("p", { role: "alert" });
  const retry = button(words.retry, () => wishes.again());
  const begin = button(words.begin, wishes.begin);
  const dismiss = button("×", wishes.dismiss, { ariaLabel: words.dismiss, className: "dismiss" });
  const element = make("div", { className: "notice" }, text, retry, begin, dismiss);

  function update({ notice, reply }) {
    const isShown = Boolean(notice) && !reply;
    // The alert itself is never hidden: one that appears together with its text is not read aloud.
    element.classList.toggle("empty", !isShown);
    tellText(text, isShown ? words.problem(notice) : "");
    retry.hidden = !notice?.again;
    begin.hidden = !(notice?.begin || notice?.code.endsWith("_too_large") || notice?.code === "model_context_exceeded");
    dismiss.hidden = Boolean(notice?.begin);
  }
  return { element, update };
}

/* The messages, and where the reader is among them. */

import { button, make } from "./dom.js";
import { messageView } from "./message_view.js";

const NEAR_PX = 64;

/** Keeps the newest in sight, unless the reader went up to read. */
function following(scroller, newest) {
  let follows = true;
  const isNear = () => scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < NEAR_PX;
  const keepUp = () => {
    if (follows) scroller.scrollTop = scroller.scrollHeight;
    newest.hidden = follows;
  };
  scroller.addEventListener("scroll", () => {
    follows = isNear();
    newest.hidden = follows;
  });
  new ResizeObserver(keepUp).observe(scroller);
  const toNewest = () => {
    follows = true;
    keepUp();
  };
  newest.addEventListener("click", toNewest);
  return { keepUp, toNewest };
}

/** Which messages may be said or answered anew: the newest of the user, and the reply to it. */
function mayAnew({ messages, reply }, number) {
  const asked = messages.findLastIndex((message) => message.role === "user");
  return !reply && asked >= 0 && number >= asked;
}

export function logView(words, wishes) {
  const rows = [];
  const list = make("ol", { className: "messages" });
  const earlier = button(words.earlier, wishes.earlier, { className: "earlier" });
  const scroller = make("div", { className: "log", tabIndex: 0, role: "region", ariaLabel: words.conversation }, earlier, list);
  const newest = button(words.newest, () => {}, { className: "newest", hidden: true });
  const { keepUp, toNewest } = following(scroller, newest);

  function row(message, number) {
    if (rows[number]?.role === message.role) return rows[number];
    rows.splice(number).forEach((old) => old.element.remove());
    rows[number] = messageView(words, message.role, wishes);
    list.append(rows[number].element);
    return rows[number];
  }

  function update(conversation) {
    const { messages, next } = conversation;
    rows.splice(messages.length).forEach((old) => old.element.remove());
    messages.forEach((message, number) => row(message, number).update(message, { mayAnew: mayAnew(conversation, number) }));
    earlier.hidden = !next;
    keepUp();
  }
  return { element: make("div", { className: "reading" }, scroller, newest), update, toNewest };
}

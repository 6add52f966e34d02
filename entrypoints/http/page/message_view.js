/* One message: who said it, what was said, how it ended, and what one may do with it. */

import { blockNode, blocksOf } from "./blocks.js";
import { button, make, tellText } from "./dom.js";

const canCopy = () => Boolean(navigator.clipboard);

function formatted() {
  let shown = [];
  const body = make("div", { className: "text" });
  return {
    body,
    /** Only what changed is made anew, so that a reader may mark what stands already. */
    show(text) {
      const blocks = blocksOf(text);
      const same = shown.findIndex((block, number) => block !== blocks[number]);
      const kept = same < 0 ? shown.length : same;
      [...body.children].slice(kept).forEach((old) => old.remove());
      body.append(...blocks.slice(kept).map((block) => blockNode(block)));
      shown = blocks;
    },
  };
}

function plain() {
  const body = make("div", { className: "text", dir: "auto" });
  return { body, show: (text) => tellText(body, text) };
}

function copyButton(words, text) {
  const copy = button(words.copy, async () => {
    await navigator.clipboard.writeText(text());
    tellText(copy, words.copied);
  });
  copy.addEventListener("blur", () => tellText(copy, words.copy));
  return copy;
}

const dots = () => make("span", { className: "dots", ariaHidden: "true" }, make("i"), make("i"), make("i"));

/** The row of a message; `wishes` are `again` and `edit`. */
export function messageView(words, role, wishes) {
  const isUser = role === "user";
  const { body, show } = isUser ? plain() : formatted();
  let text = "";
  const copy = canCopy() && !isUser ? [copyButton(words, () => text)] : [];
  const anew = isUser ? button(words.edit, () => wishes.edit(text)) : button(words.again, () => wishes.again());
  const ending = make("p", { className: "ending" });
  const actions = make("div", { className: "actions" }, ...copy, anew);
  const typing = dots();
  const who = make("h2", { className: "unseen" }, isUser ? words.you : words.assistant);
  const element = make("li", { className: `message ${role}` }, who, body, typing, ending, actions);

  function update(message, { mayAnew }) {
    text = message.text;
    const isWriting = message.status === "writing";
    show(text);
    body.ariaBusy = String(isWriting);
    typing.hidden = !isWriting;
    tellText(ending, (!isWriting && words[message.status]) || "");
    ending.hidden = !ending.textContent;
    anew.hidden = !mayAnew;
    actions.hidden = isWriting || !text || (isUser && !mayAnew);
  }
  return { element, role, update };
}

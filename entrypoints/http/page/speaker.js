/* Reads replies to those who listen: each paragraph once, when it is whole, however it came. */

import { blockNode, blocksOf } from "./blocks.js";
import { make } from "./dom.js";

// Long enough to be read, not so long that the same words are found twice in the page.
const KEPT_MS = 10_000;

function spoken(block) {
  const node = blockNode(block);
  node.querySelectorAll("li, br").forEach((part) => part.append("\n"));
  return make("p", { dir: "auto" }, node.textContent);
}

export function speaker() {
  const element = make("div", { className: "unseen", role: "log" });
  let heard = null;
  let told = 0;

  function hearNew(reply) {
    [heard, told] = [reply, 0];
    element.replaceChildren();
  }

  function ended() {
    const said = [...element.children];
    setTimeout(() => said.forEach((one) => one.remove()), KEPT_MS);
    heard = null;
  }

  function update({ messages, reply }) {
    if (reply && reply !== heard) hearNew(reply);
    if (!heard || !messages.includes(heard)) return;
    const blocks = blocksOf(heard.text);
    const whole = heard === reply ? blocks.slice(0, -1) : blocks;
    element.append(...whole.slice(told).map(spoken));
    told = Math.max(told, whole.length);
    if (!reply) ended();
  }
  return { element, update };
}

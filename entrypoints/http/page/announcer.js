/* Announces each paragraph of a reply to screen readers once it is complete. */

import { make } from "./dom.js";
import { renderBlock, splitBlocks } from "./markdown.js";
import { callText } from "./sources.js";
import { endingOf } from "./turn.js";

// Long enough to be read aloud. If an announcement stayed, a visitor would find its text twice.
const REMOVE_AFTER_MS = 10_000;

const textOf = ({ nodeName, data, childNodes }) =>
  (data ?? [...childNodes].map(textOf).join("")) + (/^(LI|BR)$/.test(nodeName) ? "\n" : "");

const announcement = (block) => make("p", { dir: "auto" }, textOf(renderBlock(block)));

export function announcer(words) {
  const element = make("div", { className: "sr-only", role: "log" });
  let current = null;
  let [count, callCount] = [0, 0];

  function start(reply) {
    // The last paragraph of a reply that was cut goes on.
    const before = splitBlocks(reply.cut?.text ?? "").slice(0, -1);
    [current, count, callCount] = [reply, before.length, reply.cut?.calls.length ?? 0];
    element.replaceChildren();
  }

  function finish() {
    const note = current.status === "finished" && words[endingOf(current)];
    if (note) element.append(make("p", {}, note));
    const old = [...element.children];
    setTimeout(() => old.forEach((paragraph) => paragraph.remove()), REMOVE_AFTER_MS);
    current = null;
  }

  function update({ messages, reply }) {
    if (reply && reply !== current) start(reply);
    if (!current || !messages.includes(current)) return;
    const calls = current.calls.slice(callCount);
    element.append(...calls.map((call) => make("p", {}, callText(words, call))));
    callCount += calls.length;
    const blocks = splitBlocks(current.text);
    const complete = current === reply ? blocks.slice(0, -1) : blocks;
    element.append(...complete.slice(count).map(announcement));
    count = Math.max(count, complete.length);
    if (!reply) finish();
  }
  return { element, update };
}

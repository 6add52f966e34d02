/* How long the conversation stays, by the server's time, and the ways to end that or take it along. */

import { serverNow } from "./api.js";
import { button, make, tellText } from "./dom.js";

const SECOND_MS = 1_000;

function saved(blob) {
  const url = URL.createObjectURL(blob);
  make("a", { href: url, download: "conversation.json" }).click();
  setTimeout(() => URL.revokeObjectURL(url), SECOND_MS);
}

/** `sure` asks a question and tells the answer. */
export function stayView(words, conversation, sure) {
  const left = make("span", { role: "timer" });
  const sealed = make("p", {}, make("span", { className: "lock", ariaHidden: "true" }), words.sealed, " ", left);
  const nothing = make("p", {}, words.nothingKept);
  const exported = button(words.export, async () => {
    const blob = await conversation.exported();
    if (blob) saved(blob);
  });
  const ask = async (question, everything) => (await sure(question)) && conversation.forget({ everything });
  const forget = button(words.forget, () => ask(words.forgetQuestion, false));
  const everything = button(words.everything, () => ask(words.everythingQuestion, true));
  const element = make("footer", { className: "stay" }, sealed, nothing, make("div", {}, forget, exported, everything));

  function tick() {
    if (!conversation.expiresAt) return;
    const seconds = Math.floor((Date.parse(conversation.expiresAt) - serverNow()) / SECOND_MS);
    tellText(left, words.forgottenIn.replace("{time}", words.lasting(Math.max(0, seconds))));
    if (seconds < 0) conversation.look();
  }
  const timer = setInterval(tick, SECOND_MS);

  function update({ sessionId }) {
    sealed.hidden = forget.hidden = exported.hidden = !sessionId;
    nothing.hidden = Boolean(sessionId);
    tick();
  }
  return { element, update, stop: () => clearInterval(timer) };
}

/* Where one writes: Enter sends, Shift+Enter begins a new line. */

import { button, make } from "./dom.js";

const LONGEST = 8_000;

function field(words) {
  const grow = () => {
    text.style.blockSize = "auto";
    text.style.blockSize = `${text.scrollHeight + 2}px`;
  };
  // Browsers would otherwise keep what was typed, and bring it back for the next visitor.
  const kept = { autocomplete: "off" };
  const hint = { placeholder: words.message, ariaLabel: words.message, enterKeyHint: "send" };
  const text = make("textarea", { rows: 1, dir: "auto", maxLength: LONGEST, ...kept, ...hint, oninput: grow });
  return { text, set: (value) => ((text.value = value), grow()) };
}

/** `wishes` are `say`, `again` and `stop`; the first two give back whether they were taken. */
export function composer(words, wishes) {
  const { text, set } = field(words);
  const send = make("button", { type: "submit", className: "main" }, words.send);
  const stop = button(words.stop, wishes.stop, { className: "main" });
  const cancel = button(words.cancel, () => leaveEditing(), {});
  const editing = make("p", { className: "editing", hidden: true }, words.editing, " ", cancel);
  const element = make("form", { className: "composer", onsubmit: submitted }, editing, text, send, stop);
  let isWriting = false;

  function leaveEditing() {
    editing.hidden = true;
    set("");
    text.focus();
  }

  async function submitted(event) {
    event.preventDefault();
    const said = text.value;
    if (isWriting || !said.trim()) return;
    const wasEditing = !editing.hidden;
    editing.hidden = true;
    set("");
    const isTaken = await (wasEditing ? wishes.again(said) : wishes.say(said));
    if (isTaken || text.value) return;
    editing.hidden = !wasEditing;
    set(said);
  }

  text.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !editing.hidden) leaveEditing();
    // While a word is being composed, Enter chooses it.
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    element.requestSubmit();
  });

  function update({ reply }) {
    const hadFocus = element.contains(element.getRootNode().activeElement);
    isWriting = Boolean(reply);
    send.hidden = isWriting;
    stop.hidden = !isWriting;
    if (hadFocus && !element.contains(element.getRootNode().activeElement)) text.focus();
  }

  function edit(said) {
    editing.hidden = false;
    set(said);
    text.focus();
  }
  return { element, update, edit, set, focus: () => text.focus(), draft: () => text.value };
}

/* The chat, put together from its parts: the same in the page and in the widget. */

import { composer } from "./composer.js";
import { make } from "./dom.js";
import { logView } from "./log_view.js";
import { noticeView, statusView } from "./notices.js";
import { question } from "./question.js";
import { speaker } from "./speaker.js";
import { stayView } from "./stay.js";

function partsOf(conversation, words) {
  const { dialog, sure } = question(words);
  const wishes = {
    say: (text) => (log.toNewest(), conversation.say(text)),
    again: (text) => (log.toNewest(), conversation.again(text)),
    edit: (text) => writing.edit(text),
    stop: () => conversation.stop(),
    begin: () => conversation.beginAnew(),
    dismiss: () => (conversation.dismiss(), writing.focus()),
    earlier: () => conversation.earlier(),
  };
  const log = logView(words, wishes);
  const writing = composer(words, wishes);
  const stay = stayView(words, conversation, sure);
  const views = [log, speaker(), statusView(words), noticeView(words, wishes), writing, stay];
  return { views, dialog, writing, stay };
}

/**
 * Shows a conversation within `place`. Gives what takes it away again, which tells the draft that
 * was being written, and what puts the cursor where one writes.
 */
export function show(place, conversation, words, draft = "") {
  const { views, dialog, writing, stay } = partsOf(conversation, words);
  const gone = new AbortController();
  let isDue = false;
  const render = () => {
    isDue = false;
    if (!gone.signal.aborted) views.forEach((view) => view.update(conversation));
  };
  const due = () => {
    if (!isDue) requestAnimationFrame(render);
    isDue = true;
  };
  conversation.addEventListener("change", due, { signal: gone.signal });
  for (const event of ["online", "offline"]) addEventListener(event, due, { signal: gone.signal });
  place.replaceChildren(make("div", { className: "chat", lang: words.tag, dir: words.direction }, ...views.map((view) => view.element), dialog));
  writing.set(draft);
  render();
  const leave = () => {
    gone.abort();
    stay.stop();
    return writing.draft();
  };
  return { leave, focus: writing.focus };
}

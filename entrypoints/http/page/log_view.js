/* The list of messages, and its scrolling. */

import { button, make, setText } from "./dom.js";
import { renderBlock, splitBlocks } from "./markdown.js";
import { sourceList, toolsText } from "./sources.js";
import { canContinue, endingOf } from "./turn.js";

const NEAR_END_PX = 64;

/** `finish` is applied to each new block. */
function formattedBody(finish) {
  let shown = [];
  const body = make("div", { className: "text" });
  // Replaces the first changed block and all after it, so that a selection above survives.
  const show = (text) => {
    const blocks = splitBlocks(text);
    const firstChange = shown.findIndex(({ source }, number) => source !== blocks[number]?.source);
    const unchanged = firstChange < 0 ? shown.length : firstChange;
    [...body.children].slice(unchanged).forEach((old) => old.remove());
    body.append(...blocks.slice(unchanged).map((block) => finish(renderBlock(block))));
    shown = blocks;
  };
  return { body, show };
}

function plainBody() {
  const body = make("div", { className: "text", dir: "auto" });
  return { body, show: (text) => setText(body, text) };
}

function copyButton(words, text) {
  const copy = button(words.copy, async () => {
    await navigator.clipboard.writeText(text());
    setText(copy, words.copied);
  });
  copy.addEventListener("blur", () => setText(copy, words.copy));
  return copy;
}

function imageList(words) {
  let shown = [];
  const element = make("div", { className: "images" });
  const show = (images = []) => {
    if (shown.length === images.length && shown.every((url, number) => url === images[number])) return;
    shown = images;
    element.replaceChildren(...images.map((src) => make("img", { src, alt: words.image })));
  };
  return { element, show };
}

const typingDots = () =>
  make("span", { className: "dots", ariaHidden: "true" }, make("i"), make("i"), make("i"));

function messageView(words, role, actions) {
  const isUser = role === "user";
  const sources = sourceList(words);
  const tools = make("p", { className: "tools", dir: "auto" });
  const { body, show } = isUser ? plainBody() : formattedBody(sources.cite);
  let text = "";
  const copy = navigator.clipboard && !isUser ? [copyButton(words, () => text)] : [];
  const redo = isUser
    ? button(words.edit, () => actions.edit(text))
    : button(words.regenerate, () => actions.regenerate());
  const continueButton = button(words.continue, () => actions.continueReply());
  const ending = make("p", { className: "ending" });
  const buttons = make("div", { className: "actions" }, continueButton, ...copy, redo);
  const typing = typingDots();
  const author = make("h2", { className: "sr-only" }, isUser ? words.you : words.assistant);
  const images = imageList(words);
  const content = [author, images.element, tools, body, typing, sources.element, ending, buttons];
  const element = make("li", { className: `message ${role}` }, ...content);

  function update(message, canRedo, isLast) {
    setText(tools, toolsText(words, message, isLast));
    tools.hidden = !tools.textContent;
    sources.show(message.sources);
    if (text !== message.text) show((text = message.text));
    body.hidden = isUser && !text;
    images.show(message.images);
    const isWriting = message.status === "writing";
    body.ariaBusy = String(isWriting);
    typing.hidden = !isWriting;
    setText(ending, (!isWriting && words[endingOf(message)]) || "");
    ending.hidden = !ending.textContent;
    redo.hidden = !canRedo;
    continueButton.hidden = !isLast || !canContinue(message);
    copy.forEach((button) => (button.hidden = !text.trim()));
    buttons.hidden = isWriting || !(isUser ? text && canRedo : text || canRedo);
  }
  return { element, role, update };
}

/** Keeps the end in view unless the reader has scrolled up. */
function autoScroll(scroller, list, newest) {
  let isFollowing = true;
  const follow = () => {
    if (isFollowing) scroller.scrollTop = scroller.scrollHeight;
    newest.hidden = isFollowing;
  };
  scroller.addEventListener("scroll", () => {
    const distance = scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight;
    isFollowing = distance < NEAR_END_PX;
    newest.hidden = isFollowing;
  });
  const resizes = new ResizeObserver(follow);
  resizes.observe(scroller);
  resizes.observe(list);
  const scrollToNewest = () => {
    isFollowing = true;
    follow();
  };
  newest.addEventListener("click", scrollToNewest);
  return { follow, scrollToNewest };
}

/** The index of the first message that can be edited or regenerated: the user's newest. */
function firstToRedo({ messages, reply }) {
  const newest = messages.findLastIndex((message) => message.role === "user");
  return reply || newest < 0 ? messages.length : newest;
}

/** `actions` are `edit`, `regenerate`, `continueReply` and `loadEarlier`. */
export function logView(words, actions) {
  const rows = [];
  const list = make("ol", { className: "messages" });
  const earlier = button(words.earlier, actions.loadEarlier, { className: "earlier" });
  const region = { tabIndex: 0, role: "region", ariaLabel: words.conversation };
  const scroller = make("div", { className: "log", ...region }, earlier, list);
  const newest = button(words.newest, () => {}, { className: "newest", hidden: true });
  const { follow, scrollToNewest } = autoScroll(scroller, list, newest);
  const element = make("div", { className: "reading" }, scroller, newest);

  const removeFrom = (number) => rows.splice(number).forEach((old) => old.element.remove());

  function row(message, number) {
    if (rows[number]?.role === message.role) return rows[number];
    removeFrom(number);
    rows[number] = messageView(words, message.role, actions);
    list.append(rows[number].element);
    return rows[number];
  }

  function update(conversation) {
    const { messages, next } = conversation;
    const firstRedo = firstToRedo(conversation);
    removeFrom(messages.length);
    messages.forEach((message, number) =>
      row(message, number).update(message, number >= firstRedo, message === messages.at(-1)));
    earlier.hidden = !next;
    follow();
  }
  return { element, update, scrollToNewest, focus: () => scroller.focus({ preventScroll: true }) };
}

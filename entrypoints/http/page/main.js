/* The page at /: the chat in the visitor's language. */

import { show } from "./chat.js";
import { Conversation } from "./conversation.js";
import { make } from "./dom.js";
import * as tabs from "./tabs.js";
import { languageName, loadWords, wordsFrom } from "./words.js";

const header = document.querySelector("header");
const tools = new Map();
const container = document.querySelector("main");

function languageSelect(words, available, onSelect) {
  const options = available.map((tag) =>
    make("option", { value: tag, selected: tag === words.tag, lang: tag }, languageName(tag)));
  const onchange = () => onSelect(select.value);
  const select = make("select", { ariaLabel: words.language, onchange }, ...options);
  return select;
}

function showHeader(words, select) {
  Object.assign(document.documentElement, { lang: words.tag, dir: words.direction });
  document.title = words.title;
  header.replaceChildren(make("h1", {}, words.title), select);
}

globalThis.privity = { tool: (name, run) => void tools.set(name, run) };

async function start() {
  const data = JSON.parse(document.querySelector("#data").textContent);
  const chosen = tabs.language();
  const isOther = chosen !== data.words.tag && data.languages.includes(chosen);
  const words = isOther ? await loadWords(chosen) : wordsFrom(data.words);
  const conversation = new Conversation({ words, tools });
  let chat = null;

  function render(words) {
    const select = languageSelect(words, data.languages, changeLanguage);
    showHeader(words, select);
    chat = show(container, conversation, words, chat?.remove());
    return select;
  }
  async function changeLanguage(tag) {
    tabs.saveLanguage(tag);
    const words = await loadWords(tag);
    render(words).focus();
    conversation.setWords(words);
  }
  render(words);
  await conversation.start();
}

start();

/* The page at /: the chat in the visitor's language. */

import { show } from "./chat.js";
import { Conversation } from "./conversation.js";
import { make } from "./dom.js";
import * as tabs from "./tabs.js";
import { bestLanguage, languageName, loadLanguages, loadWords } from "./words.js";

const header = document.querySelector("header");
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

async function start() {
  const available = await loadLanguages();
  const preferred = [tabs.language(), ...navigator.languages];
  const words = await loadWords(bestLanguage(preferred, available));
  const conversation = new Conversation({ locale: words.tag });
  let chat = null;

  function render(words) {
    const select = languageSelect(words, available, changeLanguage);
    showHeader(words, select);
    chat = show(container, conversation, words, chat?.remove());
    return select;
  }
  async function changeLanguage(tag) {
    tabs.saveLanguage(tag);
    render(await loadWords(tag)).focus();
    conversation.setLocale(tag);
  }
  render(words);
  await conversation.start();
}

start();

/* The page at /: the chat in the visitor's language. */

import { show } from "./chat.js";
import { Conversation } from "./conversation.js";
import { make } from "./dom.js";
import * as tabs from "./tabs.js";
import { bestOf, languages, nameOf, wordsOf } from "./words.js";

const header = document.querySelector("header");
const place = document.querySelector("main");

function languageChoice(words, known, chosen) {
  const options = known.map((tag) => make("option", { value: tag, selected: tag === words.tag, lang: tag }, nameOf(tag)));
  const choice = make("select", { ariaLabel: words.language, onchange: () => chosen(choice.value) }, ...options);
  return choice;
}

function greet(words, choice) {
  Object.assign(document.documentElement, { lang: words.tag, dir: words.direction });
  document.title = words.title;
  header.replaceChildren(make("h1", {}, words.title), choice);
}

async function begin() {
  const known = await languages();
  const words = await wordsOf(bestOf([tabs.language(), ...navigator.languages], known));
  const conversation = new Conversation({ locale: words.tag });
  let shown = null;

  function speak(spoken) {
    const choice = languageChoice(spoken, known, chosen);
    greet(spoken, choice);
    shown = show(place, conversation, spoken, shown?.leave());
    return choice;
  }
  async function chosen(tag) {
    tabs.keepLanguage(tag);
    speak(await wordsOf(tag)).focus();
    conversation.speak(tag);
  }
  speak(words);
  await conversation.begin();
}

begin();

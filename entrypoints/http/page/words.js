/* The texts of the page in one language, with the assistant's welcome: words.<tag>.json. */

import { Unreachable } from "./api.js";
import { withRetry } from "./turn.js";

const CONTROL = { signal: new AbortController().signal, onWaiting: () => {} };
const MINUTE = 60;
const HOUR = 60 * MINUTE;

async function loadFile(name) {
  const response = await fetch(new URL(name, import.meta.url)).catch(() => null);
  if (!response?.ok) throw new Unreachable();
  return response.json();
}

/** A JSON file of the page. */
export const load = (name) => withRetry(() => loadFile(name), CONTROL);

/** The name of a language in that language. */
export function languageName(tag) {
  const name = new Intl.DisplayNames([tag], { type: "language" }).of(tag);
  return name.charAt(0).toLocaleUpperCase(tag) + name.slice(1);
}

/** The texts with functions for those that depend on a value. */
export const wordsFrom = (texts) => ({
  ...texts,
  duration: (seconds) => duration(texts.tag, seconds),
  problem: (notice) => problemText(texts, notice),
});

export const loadWords = async (tag) => wordsFrom(await load(`words.${tag}.json`));

/** A duration in hours and minutes, or minutes and seconds. */
function duration(tag, seconds) {
  const hours = Math.floor(seconds / HOUR);
  const minutes = Math.floor((seconds % HOUR) / MINUTE);
  const parts = hours
    ? [[hours, "hour"], [minutes, "minute"]]
    : [[minutes, "minute"], [seconds % MINUTE, "second"]];
  const shown = parts.filter(([value], number) => value || number);
  const format = ([value, unit]) =>
    new Intl.NumberFormat(tag, { style: "unit", unit, unitDisplay: "short" }).format(value);
  return shown.map(format).join(" ");
}

function problemText({ problems, tag, messageCharacters }, { code, seconds }) {
  const kind = /^(model|hook)_/.test(code) ? "model" : "other";
  const text = problems[code] ?? problems[kind];
  const characters = () => new Intl.NumberFormat(tag).format(messageCharacters);
  return text
    .replace("{time}", () => duration(tag, seconds || MINUTE))
    .replace("{characters}", characters);
}

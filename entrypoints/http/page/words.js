/* The texts of the page: one file words.<tag>.json per language. */

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

const load = (name) => withRetry(() => loadFile(name), CONTROL);

/** The tags of the available languages. */
export const loadLanguages = () => load("languages.json");

/** The first of `preferred` that is available, if need be without its last subtags; else "en". */
export function bestLanguage(preferred, available) {
  for (const tag of preferred.filter(Boolean)) {
    for (let parts = tag.split("-"); parts.length; parts.pop()) {
      const prefix = parts.join("-").toLowerCase();
      const match = available.find((candidate) => candidate.toLowerCase() === prefix);
      if (match) return match;
    }
  }
  return "en";
}

/** The name of a language in that language. */
export function languageName(tag) {
  const name = new Intl.DisplayNames([tag], { type: "language" }).of(tag);
  return name.charAt(0).toLocaleUpperCase(tag) + name.slice(1);
}

/** The texts of one language, its `tag`, and functions for texts that depend on a value. */
export async function loadWords(tag) {
  const words = await load(`words.${tag}.json`);
  const problem = (notice) => problemText(words, tag, notice);
  return { ...words, tag, duration: (seconds) => duration(tag, seconds), problem };
}

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

function problemText({ problems }, tag, { code, seconds }) {
  const kind = code.startsWith("model_") ? "model" : "other";
  const text = problems[code] ?? problems[kind];
  return text.replace("{time}", () => duration(tag, seconds || MINUTE));
}

/* What the page says, by language: one file words.<tag>.json each. */

import { Unreachable } from "./api.js";
import { patiently } from "./turn.js";

const PATIENCE = { signal: new AbortController().signal, onWaiting: () => {} };
const MINUTE = 60;
const HOUR = 60 * MINUTE;

async function file(name) {
  const found = await fetch(new URL(name, import.meta.url)).catch(() => null);
  if (!found?.ok) throw new Unreachable();
  return found.json();
}

const read = (name) => patiently(() => file(name), PATIENCE);

/** The tags there are words for. */
export const languages = () => read("languages.json");

/** The first wanted tag that is known, falling back along its parts; else English. */
export function bestOf(wanted, known) {
  for (const tag of wanted.filter(Boolean)) {
    for (let parts = tag.split("-"); parts.length; parts.pop()) {
      const found = known.find((one) => one.toLowerCase() === parts.join("-").toLowerCase());
      if (found) return found;
    }
  }
  return "en";
}

/** A language's name in itself. */
export function nameOf(tag) {
  const name = new Intl.DisplayNames([tag], { type: "language" }).of(tag);
  return name.charAt(0).toLocaleUpperCase(tag) + name.slice(1);
}

/** The words of one language, with `tag`, and functions for those that change. */
export async function wordsOf(tag) {
  const words = await read(`words.${tag}.json`);
  return { ...words, tag, lasting: (seconds) => lasting(tag, seconds), problem: (notice) => problem(words, tag, notice) };
}

function amount(tag, value, unit) {
  return new Intl.NumberFormat(tag, { style: "unit", unit, unitDisplay: "short" }).format(value);
}

/** A time span in its two largest units. */
function lasting(tag, seconds) {
  const hours = Math.floor(seconds / HOUR);
  const minutes = Math.floor((seconds % HOUR) / MINUTE);
  const parts = hours ? [[hours, "hour"], [minutes, "minute"]] : [[minutes, "minute"], [seconds % MINUTE, "second"]];
  const told = parts.filter(([value], number) => value || number);
  return told.map(([value, unit]) => amount(tag, value, unit)).join(" ");
}

function problem({ problems }, tag, { code, seconds }) {
  const kind = code.startsWith("model_") ? "model" : "other";
  const sentence = problems[code] ?? problems[kind];
  return sentence.replace("{time}", () => lasting(tag, seconds || MINUTE));
}

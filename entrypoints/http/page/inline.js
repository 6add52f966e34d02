/* Text within a paragraph: emphasis, code and links, as nodes. What is none of these stays text. */

import { make } from "./dom.js";

// Bounded, so that text made to be slow is not.
const SPAN = "[^\\n]{0,1000}?";
const SAFE = new Set(["http:", "https:", "mailto:"]);

const KINDS = [
  [/^(`{1,3})([^\n]{1,1000}?[^`\n]|[^`\n])\1(?!`)/, ([, , code]) => make("code", {}, code.trim() || code)],
  [new RegExp(`^(\\*\\*|__)(?=\\S)(${SPAN}\\S)\\1`), ([, , text]) => make("strong", {}, ...inline(text))],
  [new RegExp(`^\\*(?![\\s*])(${SPAN}[^\\s*])\\*(?!\\*)`), ([, text]) => make("em", {}, ...inline(text))],
  [new RegExp(`^_(?![\\s_])(${SPAN}[^\\s_])_(?![\\w_])`), ([, text]) => make("em", {}, ...inline(text))],
  [/^\[([^\]\n]{1,1000})\]\(<?([^\s()<>]{1,2000})>?\)/, ([, text, to]) => link(text, to)],
  [/^<((?:https?:\/\/|mailto:)[^\s<>]{1,2000})>/, ([, to]) => link(to, to)],
  [/^https?:\/\/[^\s<>"'`*]{1,2000}/, ([to]) => bareLink(to)],
  [/^\\([\\`*_[\]()#+.!<>-])/, ([, character]) => character],
];
const MAY_BEGIN = /[`*_[<\\]|https?:/g;

function link(text, to) {
  const url = URL.canParse(to) && new URL(to);
  if (!url || !SAFE.has(url.protocol)) return null;
  return make("a", { href: url.href, target: "_blank", rel: "noopener noreferrer nofollow" }, text);
}

function bareLink(found) {
  // The full stop behind an address ends the sentence, not the address.
  const to = found.replace(/[.,:;!?)\]]+$/, "");
  const made = link(to, to);
  return made && { node: made, length: to.length };
}

function kindAt(rest, before) {
  for (const [pattern, made] of KINDS) {
    const match = pattern.exec(rest);
    // snake_case is no emphasis.
    if (!match || (rest[0] === "_" && /\w$/.test(before))) continue;
    const node = made(match);
    if (node) return node.node ? node : { node, length: match[0].length };
  }
  return null;
}

/** The nodes of one piece of text. */
export function inline(text) {
  const nodes = [];
  let plain = "";
  for (let at = 0; at < text.length; ) {
    MAY_BEGIN.lastIndex = at;
    const next = MAY_BEGIN.exec(text)?.index ?? text.length;
    plain += text.slice(at, next);
    const found = next < text.length && kindAt(text.slice(next, next + 3000), plain);
    if (found) nodes.push(plain, found.node);
    plain = found ? "" : plain + (text[next] ?? "");
    at = next + (found ? found.length : 1);
  }
  return [...nodes, plain].filter((node) => node !== "");
}

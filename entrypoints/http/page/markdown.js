/* A subset of Markdown as DOM nodes. Everything else stays text. */

import { make } from "./dom.js";

const FENCE = /^ {0,3}(```+|~~~+)/;
const ITEM = /^ {0,3}([-*+•]|\d{1,9}[.)]) +/;
const HEADING = /^ {0,3}#{1,6} +/;
const QUOTE = /^ {0,3}> ?/;
const INDENTED = /^(?: {2,}|\t)/;
const MAX_DEPTH = 5;

// Repetitions are bounded, so that hostile text cannot make matching slow.
const SPAN = "[^\\n]{0,1000}?";
const MAX_INLINE_LENGTH = 3_000;
const SAFE_PROTOCOLS = new Set(["http:", "https:", "mailto:"]);

const CODE = /^(`{1,3})([^\n]{1,1000}?[^`\n]|[^`\n])\1(?!`)/;

const INLINE_RULES = [
  [CODE, ([, , code]) => make("code", {}, code.trim() || code)],
  [new RegExp(`^(\\*\\*|__)(?=\\S)(${SPAN}\\S)\\1`), ([, , text]) => make("strong", {}, ...inline(text))],
  [new RegExp(`^\\*(?![\\s*])(${SPAN}[^\\s*])\\*(?!\\*)`), ([, text]) => make("em", {}, ...inline(text))],
  [new RegExp(`^_(?![\\s_])(${SPAN}[^\\s_])_(?![\\w_])`), ([, text]) => make("em", {}, ...inline(text))],
  [/^\[([^\]\n]{1,1000})\]\(<?([^\s()<>]{1,2000})>?\)/, ([, text, to]) => link(text, to)],
  [/^<((?:https?:\/\/|mailto:)[^\s<>]{1,2000})>/, ([, to]) => link(to, to)],
  [/^https?:\/\/[^\s<>"'`*]{1,2000}/, ([to]) => bareLink(to)],
  [/^\\([\\`*_[\]()#+.!<>-])/, ([, character]) => character],
];
const INLINE_START = /[`*_[<\\]|https?:/g;

function link(text, to) {
  const url = URL.canParse(to) && new URL(to);
  if (!url || !SAFE_PROTOCOLS.has(url.protocol)) return null;
  return make("a", { href: url.href, target: "_blank", rel: "noopener noreferrer nofollow" }, text);
}

function bareLink(match) {
  // A full stop after an address ends the sentence and is not part of the address.
  const to = match.replace(/[.,:;!?)\]]+$/, "");
  const node = link(to, to);
  return node && { node, length: to.length };
}

function matchInline(rest, before) {
  for (const [pattern, render] of INLINE_RULES) {
    const match = pattern.exec(rest);
    // The underscores in snake_case are not emphasis.
    if (!match || (rest[0] === "_" && /\w$/.test(before))) continue;
    const node = render(match);
    if (node) return node.node ? node : { node, length: match[0].length };
  }
  return null;
}

/** The nodes of text within a block: emphasis, code and links. */
function inline(text) {
  const nodes = [];
  let plain = "";
  for (let at = 0; at < text.length; ) {
    INLINE_START.lastIndex = at;
    const next = INLINE_START.exec(text)?.index ?? text.length;
    plain += text.slice(at, next);
    const rest = text.slice(next, next + MAX_INLINE_LENGTH);
    const found = rest && matchInline(rest, plain);
    if (found) nodes.push(plain, found.node);
    plain = found ? "" : plain + (text[next] ?? "");
    at = next + (found ? found.length : 1);
  }
  return [...nodes, plain].filter((node) => node !== "");
}

const renderLines = (text) =>
  text.split("\n").flatMap((line, number) => (number ? [make("br"), ...inline(line)] : inline(line)));

const startsBlock = (line) => [FENCE, ITEM, HEADING, QUOTE].some((kind) => kind.test(line));

/** The number of lines of the block that starts at line `start`. */
function blockLength(lines, start) {
  const rest = lines.slice(start);
  const first = rest[0];
  const until = (isOver) => {
    const end = rest.findIndex((line, number) => number > 0 && isOver(line, rest[number + 1] ?? ""));
    return end < 0 ? rest.length : end;
  };
  const fence = FENCE.exec(first)?.[1];
  if (fence) return Math.min(until((line) => line.trim() === fence) + 1, rest.length);
  if (HEADING.test(first)) return 1;
  if (QUOTE.test(first)) return until((line) => !QUOTE.test(line));
  if (ITEM.test(first)) return until((line, next) => isListOver(line, next, first));
  return until((line) => !line.trim() || startsBlock(line));
}

const isOrdered = (line) => /^ *\d/.test(line);
const indentOf = (line) => line.search(/\S|$/);
const isSibling = (line, first) => ITEM.test(line) && indentOf(line) < indentOf(first) + 2;

function isListOver(line, next, first) {
  const belongs = (one) => INDENTED.test(one) || (ITEM.test(one) && isOrdered(one) === isOrdered(first));
  if (!line.trim()) return !belongs(next);
  return !belongs(line) && startsBlock(line);
}

/** The source of each block. */
export function splitBlocks(text) {
  const lines = text.replace(/\r\n?/g, "\n").split("\n");
  const blocks = [];
  for (let at = 0; at < lines.length; ) {
    const count = lines[at].trim() ? blockLength(lines, at) : 1;
    if (lines[at].trim()) blocks.push(lines.slice(at, at + count).join("\n"));
    at += count;
  }
  return blocks;
}

function renderCode(lines, fence) {
  const isClosed = lines.length > 1 && lines.at(-1).trim() === fence;
  const text = lines.slice(1, isClosed ? -1 : undefined).join("\n");
  return make("pre", { dir: "ltr", tabIndex: 0 }, make("code", {}, text));
}

function splitItems(lines) {
  const items = [];
  for (const line of lines) {
    if (isSibling(line, lines[0])) items.push([line.replace(ITEM, "")]);
    else items.at(-1).push(line.replace(/^(?: {1,4}|\t)/, ""));
  }
  return items.map((item) => item.join("\n"));
}

function renderList(lines, depth) {
  const ordered = isOrdered(lines[0]);
  const start = ordered ? { start: Number.parseInt(lines[0], 10) } : {};
  const items = splitItems(lines).map((item) => make("li", { dir: "auto" }, ...renderItem(item, depth + 1)));
  return make(ordered ? "ol" : "ul", start, ...items);
}

function renderItem(item, depth) {
  if (depth > MAX_DEPTH) return renderLines(item);
  return splitBlocks(item).flatMap((block, number) =>
    number || startsBlock(block) ? [renderBlock(block, depth)] : renderLines(block));
}

/** One block as a node. */
export function renderBlock(source, depth = 0) {
  const lines = source.split("\n");
  const fence = FENCE.exec(source)?.[1];
  if (fence) return renderCode(lines, fence);
  if (ITEM.test(source)) return renderList(lines, depth);
  if (QUOTE.test(source)) {
    const quoted = lines.map((line) => line.replace(QUOTE, "")).join("\n");
    return make("blockquote", { dir: "auto" }, ...renderLines(quoted));
  }
  const isHeading = HEADING.test(source);
  const text = isHeading ? source.replace(HEADING, "") : source;
  return make("p", { dir: "auto", className: isHeading ? "heading" : "" }, ...renderLines(text));
}

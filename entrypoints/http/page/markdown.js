/* A subset of Markdown as DOM nodes. Everything else stays text. */

import { make } from "./dom.js";

const FENCE = /^ {0,3}(```+|~~~+)/;
const ITEM = /^ {0,3}([-*+•]|\d{1,9}[.)]) +/;
const HEADING = /^ {0,3}#{1,6} +/;
const QUOTE = /^ {0,3}> ?/;
const INDENTED = /^(?: {2,}|\t)/;
const MAX_DEPTH = 5;
const MAX_NESTING = 4;
const SAFE_PROTOCOLS = new Set(["http:", "https:", "mailto:"]);

// What exceeds this length is shown as it is, in chunks, so a long reply costs little.
const MAX_FORMATTED = 32_768;
const CHUNK_LENGTH = 4_096;

// Hostile text must not make matching slow. So a span ends at the next mark of its kind. Even if
// many marks are never closed, the search for their ends reads no character twice.
const TOKENS = [
  /(?<!`)(?<ticks>`{1,3})(?!`)(?<code>(?:[^`]|(?<!`)(?!\k<ticks>(?!`))`+)+)\k<ticks>(?!`)/,
  /\*\*(?=\S)(?<stars>(?:[^*]|\*(?!\*))+)(?<=\S)\*\*/,
  /(?<!\w)__(?=\S)(?<lines>(?:[^_]|_(?!_))+)(?<=\S)__/,
  /(?<!\*)\*(?=[^\s*])(?<star>(?:[^*]|(?<!\*)\*{2,})+)(?<=[^\s*])\*(?!\*)/,
  // The underscores in snake_case are not emphasis.
  /(?<!\w)_(?=[^\s_])(?<line>(?:[^_]|(?<!_)_{2,}|(?<=[^\W_])_(?=[^\W_]))+)(?<=[^\s_])_(?!\w)/,
  /\[(?<label>[^[\]]+)\]\(<?(?<to>[^\s()<>]{1,2000})>?\)/,
  /<(?<address>(?:https?:\/\/|mailto:)[^\s<>]{1,2000})>/,
  // A full stop after an address ends the sentence and is not part of the address.
  /(?<bare>https?:\/\/[^\s<>"'`*]{1,2000}(?<![.,:;!?)\]]))/,
  /(?<cite>\[\d{1,2}\])/,
  /\\(?<escaped>[\\`*_[\]()#+.!<>-])/,
];
const TOKEN = new RegExp(TOKENS.map(({ source }) => source).join("|"), "g");

/** A link that opens in a new tab; null if the address does not have one of the `protocols`. */
export function link(text, to, protocols = SAFE_PROTOCOLS) {
  const url = URL.canParse(to) && new URL(to);
  if (!url || !protocols.has(url.protocol)) return null;
  return make("a", { href: url.href, target: "_blank", rel: "noopener noreferrer nofollow" }, text);
}

function renderToken({ code, stars, lines, star, line, cite, label, to, address, bare, escaped }, depth) {
  if (code) return make("code", {}, code.trim() || code);
  const strong = stars ?? lines;
  if (strong) return make("strong", {}, ...inline(strong, depth + 1));
  const em = star ?? line;
  if (em) return make("em", {}, ...inline(em, depth + 1));
  // Only the view of the reply knows its sources.
  if (cite) return make("button", { type: "button", className: "cite" }, cite);
  const url = to ?? address ?? bare;
  return escaped ?? link(label ?? url, url);
}

/** The nodes of one line: emphasis, code and links. */
function inline(text, depth = 0) {
  if (depth > MAX_NESTING) return [text];
  const nodes = [];
  let shown = 0;
  for (const { 0: token, index, groups } of text.matchAll(TOKEN)) {
    const node = renderToken(groups, depth);
    if (!node) continue;
    nodes.push(text.slice(shown, index), node);
    shown = index + token.length;
  }
  return [...nodes, text.slice(shown)].filter((node) => node !== "");
}

const renderLines = (text) =>
  text.split("\n").flatMap((line, number) => (number ? [make("br"), ...inline(line)] : inline(line)));

const startsBlock = (line) => [FENCE, ITEM, HEADING, QUOTE].some((kind) => kind.test(line));

/** The line after the block that starts at line `start`. */
function blockEnd(lines, start) {
  const first = lines[start];
  const until = (isOver) => {
    let at = start + 1;
    while (at < lines.length && !isOver(lines[at], lines[at + 1] ?? "")) at += 1;
    return at;
  };
  const fence = FENCE.exec(first)?.[1];
  if (fence) return Math.min(until((line) => line.trim() === fence) + 1, lines.length);
  if (HEADING.test(first)) return start + 1;
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

function formattedBlocks(text) {
  const lines = text.replace(/\r\n?/g, "\n").split("\n");
  const blocks = [];
  for (let at = 0, end; at < lines.length; at = end) {
    end = lines[at].trim() ? blockEnd(lines, at) : at + 1;
    if (lines[at].trim()) blocks.push({ source: lines.slice(at, end).join("\n") });
  }
  return blocks;
}

/** Where to cut the text: after the last new line before `limit`, else between two characters. */
function cutBefore(text, start, limit) {
  if (text.length <= limit) return text.length;
  const newLine = text.slice(start, limit).lastIndexOf("\n");
  return newLine < 0 ? limit - /[\udc00-\udfff]/.test(text[limit]) : start + newLine + 1;
}

/** The blocks of the text. New text at the end changes only the last ones. */
export function splitBlocks(text) {
  let at = cutBefore(text, 0, MAX_FORMATTED);
  const blocks = formattedBlocks(text.slice(0, at));
  for (let end; at < text.length; at = end) {
    end = cutBefore(text, at, at + CHUNK_LENGTH);
    blocks.push({ source: text.slice(at, end), isPlain: true });
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
  return formattedBlocks(item).flatMap((block, number) =>
    number || startsBlock(block.source) ? [renderBlock(block, depth)] : renderLines(block.source));
}

/** One block as a node. */
export function renderBlock({ source, isPlain }, depth = 0) {
  if (isPlain) return make("div", { dir: "auto", className: "plain" }, source);
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

/* Lightly formatted text as blocks: paragraphs, lists, code, headings, quotations. */

import { make } from "./dom.js";
import { inline } from "./inline.js";

const FENCE = /^ {0,3}(```+|~~~+)/;
const ITEM = /^ {0,3}([-*+•]|\d{1,9}[.)]) +/;
const HEADING = /^ {0,3}#{1,6} +/;
const QUOTE = /^ {0,3}> ?/;
const INDENTED = /^(?: {2,}|\t)/;
const DEEPEST = 5;

const begins = (line) => [FENCE, ITEM, HEADING, QUOTE].some((kind) => kind.test(line));

/** How many lines from `at` on belong together with the first. */
function extent(lines, at) {
  const rest = lines.slice(at);
  const first = rest[0];
  const upTo = (isOver) => {
    const end = rest.findIndex((line, number) => number > 0 && isOver(line, rest[number + 1] ?? ""));
    return end < 0 ? rest.length : end;
  };
  const fence = FENCE.exec(first)?.[1];
  if (fence) return Math.min(upTo((line) => line.trim() === fence) + 1, rest.length);
  if (HEADING.test(first)) return 1;
  if (QUOTE.test(first)) return upTo((line) => !QUOTE.test(line));
  if (ITEM.test(first)) return upTo((line, next) => isListOver(line, next, first));
  return upTo((line) => !line.trim() || begins(line));
}

const isOrdered = (line) => /^ *\d/.test(line);
const indentOf = (line) => line.search(/\S|$/);
const isItemBeside = (line, first) => ITEM.test(line) && indentOf(line) < indentOf(first) + 2;

function isListOver(line, next, first) {
  const belongs = (one) => INDENTED.test(one) || (ITEM.test(one) && isOrdered(one) === isOrdered(first));
  if (!line.trim()) return !belongs(next);
  return !belongs(line) && begins(line);
}

/** The source of each block. */
export function blocksOf(text) {
  const lines = text.replace(/\r\n?/g, "\n").split("\n");
  const blocks = [];
  for (let at = 0; at < lines.length; ) {
    const count = lines[at].trim() ? extent(lines, at) : 1;
    if (lines[at].trim()) blocks.push(lines.slice(at, at + count).join("\n"));
    at += count;
  }
  return blocks;
}

function code(lines, fence) {
  const isClosed = lines.length > 1 && lines.at(-1).trim() === fence;
  const text = lines.slice(1, isClosed ? -1 : undefined).join("\n");
  return make("pre", { dir: "ltr", tabIndex: 0 }, make("code", {}, text));
}

function itemsOf(lines) {
  const items = [];
  for (const line of lines) {
    if (isItemBeside(line, lines[0])) items.push([line.replace(ITEM, "")]);
    else items.at(-1).push(line.replace(/^(?: {1,4}|\t)/, ""));
  }
  return items.map((item) => item.join("\n"));
}

function list(lines, depth) {
  const ordered = isOrdered(lines[0]);
  const start = ordered ? { start: Number.parseInt(lines[0], 10) } : {};
  const items = itemsOf(lines).map((item) => make("li", { dir: "auto" }, ...within(item, depth + 1)));
  return make(ordered ? "ol" : "ul", start, ...items);
}

function within(item, depth) {
  if (depth > DEEPEST) return inlineLines(item);
  const isText = (block, number) => number === 0 && !begins(block);
  return blocksOf(item).flatMap((block, number) =>
    isText(block, number) ? inlineLines(block) : [blockNode(block, depth)]);
}

const inlineLines = (text) =>
  text.split("\n").flatMap((line, number) => (number ? [make("br"), ...inline(line)] : inline(line)));

const unquoted = (lines) => lines.map((line) => line.replace(QUOTE, "")).join("\n");

/** One block as a node. */
export function blockNode(source, depth = 0) {
  const lines = source.split("\n");
  const fence = FENCE.exec(source)?.[1];
  if (fence) return code(lines, fence);
  if (ITEM.test(source)) return list(lines, depth);
  if (QUOTE.test(source)) return make("blockquote", { dir: "auto" }, ...inlineLines(unquoted(lines)));
  const isHeading = HEADING.test(source);
  const text = isHeading ? source.replace(HEADING, "") : source;
  return make("p", { dir: "auto", className: isHeading ? "heading" : "" }, ...inlineLines(text));
}

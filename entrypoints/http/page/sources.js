/* The sources of a reply, the marks in its text that cite them, and the tools that it used. */

import { make } from "./dom.js";
import { link } from "./markdown.js";

const WEB_PROTOCOLS = new Set(["http:", "https:"]);
// More than these would push the reply out of view.
const MAX_OPEN = 6;

function chip({ title, url, excerpt }, number) {
  const label = make("span", { dir: "auto" }, title || url || "");
  const content = make("span", {}, make("b", {}, String(number + 1)), " ", label);
  const quotation = () => make("p", { dir: "auto" }, excerpt);
  const quoted = () => make("details", {}, make("summary", {}, content), quotation());
  const shown = link(content, url, WEB_PROTOCOLS) ?? (excerpt ? quoted() : content);
  return make("li", { tabIndex: -1 }, shown);
}

/** Returns `show(sources)`, and `cite(node)`, which makes the marks in a node lead to the sources. */
export function sourceList(words) {
  let [current, shown, key] = [null, [], "[]"];
  const summary = make("summary");
  const list = make("ol");
  const element = make("details", { className: "sources", hidden: true }, summary, list);

  function show(sources = []) {
    if (sources === current && sources.length === shown.length) return;
    [current, shown] = [sources, [...sources]];
    // A list that is built again would lose the focus.
    if (key === (key = JSON.stringify(shown))) return;
    summary.textContent = `${words.sources} (${shown.length})`;
    list.replaceChildren(...shown.map(chip));
    element.open = shown.length <= MAX_OPEN;
    element.hidden = !shown.length;
  }

  function reveal(number) {
    element.open = true;
    const item = list.children[number];
    for (const excerpt of item.querySelectorAll("details")) excerpt.open = true;
    (item.querySelector("a, summary") ?? item).focus();
  }

  function cite(node) {
    for (const mark of node.querySelectorAll(".cite")) {
      const number = Number.parseInt(mark.textContent.slice(1), 10) - 1;
      const source = shown[number];
      if (!source) mark.replaceWith(mark.textContent);
      else Object.assign(mark, { title: source.title, onclick: () => reveal(number) });
    }
    return node;
  }
  return { element, show, cite };
}

/** What the page says about a call of a tool. Nobody waits for a call before the last message. */
export function callText(words, { name, state }, isLast = true) {
  const failed = words.toolFailed;
  const text = { open: isLast ? words.toolRunning : failed, done: words.toolDone, failed }[state];
  return text.replace("{tool}", () => name);
}

/** One line for each tool, however often it was called. */
export function toolsText(words, { calls = [] }, isLast) {
  const texts = new Map(calls.map((call) => [call.name, callText(words, call, isLast)]));
  return [...texts.values()].join("\n");
}

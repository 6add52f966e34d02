/* <privity-chat>: the chat behind a button in the corner of another page. See docs/chat_page.md. */

const STYLE = `
:host {
  --button-ink: var(--privity-on-accent, light-dark(#fff, #06201e));
  --button: var(--privity-accent, light-dark(#0f6b66, #6fd0c7));
  color-scheme: light dark; position: fixed; z-index: 2147483000;
  inset-block-end: var(--privity-bottom, 1rem); inset-inline-end: var(--privity-side, 1rem);
}
.launcher {
  font: 600 1rem/1 var(--privity-font, system-ui, sans-serif);
  color: var(--button-ink); background: var(--button);
  border: 0; border-radius: 2rem; min-block-size: 3rem; padding: 0 1.25rem;
  cursor: pointer; box-shadow: 0 2px 12px #0004;
}
.launcher:focus-visible { outline: 3px solid var(--button); outline-offset: 3px; }
.panel { position: fixed; inset-block-end: calc(var(--privity-bottom, 1rem) + 3.75rem); inset-inline-end: var(--privity-side, 1rem); inline-size: min(26rem, calc(100vw - 2rem)); block-size: min(40rem, calc(100dvh - 6.5rem)); display: flex; flex-direction: column; overflow: hidden; background: var(--paper); color: var(--ink); border: 1px solid var(--rule); border-radius: var(--radius); box-shadow: 0 8px 32px #0005; }
.panel header { padding: .25rem .5rem .25rem 1rem; }
@media (max-width: 30rem), (max-height: 30rem) {
  .panel { inset: 0; inline-size: 100%; block-size: 100dvh; border: 0; border-radius: 0; }
}
.close { border-color: transparent; font-size: 1.25rem; line-height: 1; padding: 0 .65rem; }
.container { flex: 1; min-block-size: 0; }`;

const MODULES = ["chat.js", "conversation.js", "dom.js", "words.js"];
const urlOf = (name) => new URL(name, import.meta.url);
const tools = new Map();
const script = [...document.scripts].find((element) => element.src === import.meta.url);

// A constructed style sheet needs no exception in the host page's Content-Security-Policy.
const createSheet = async (text) => new CSSStyleSheet().replace(await text);

const loadChatStyle = async () => (await fetch(urlOf("chat.css"))).text();

function parseContext(text) {
  try {
    return text ? JSON.parse(text) : undefined;
  } catch {
    return text;
  }
}

/** The first of `preferred` that is available; "sv" serves "sv-FI" too. If there is none, "en". */
function bestLanguage(preferred, available) {
  for (const tag of preferred.filter(Boolean)) {
    for (let parts = tag.split("-"); parts.length; parts.pop()) {
      const prefix = parts.join("-").toLowerCase();
      const match = available.find((candidate) => candidate.toLowerCase() === prefix);
      if (match) return match;
    }
  }
  return "en";
}

async function loadChat(element) {
  const modules = await Promise.all(MODULES.map((name) => import(urlOf(name))));
  const [{ show }, { Conversation }, { make }, { load, loadWords }] = modules;
  const hostLanguage = document.documentElement.lang;
  const preferred = [element.getAttribute("language"), hostLanguage, ...navigator.languages];
  const words = await loadWords(bestLanguage(preferred, await load("languages.json")));
  const conversation = new Conversation({ words, tools, context: () => element.context });
  return { show, make, words, conversation };
}

class PrivityChat extends HTMLElement {
  #context = null;
  #panel = null;

  /** What the assistant may know about the host page: any JSON, sent with each message. */
  get context() {
    return this.#context ?? parseContext(this.getAttribute("context"));
  }

  set context(value) {
    this.#context = value;
  }

  async connectedCallback() {
    if (this.shadowRoot) return;
    const shadow = this.attachShadow({ mode: "open" });
    const onclick = () => this.toggle();
    this.launcher = document.createElement("button");
    Object.assign(this.launcher, { className: "launcher", type: "button", onclick });
    this.launcher.textContent = this.getAttribute("label") || "Chat";
    this.launcher.ariaExpanded = "false";
    shadow.adoptedStyleSheets = [await createSheet(STYLE)];
    shadow.append(this.launcher);
    // The page, not the visitor, opens the chat, so the focus stays where it is.
    if (this.hasAttribute("open")) this.toggle({ takesFocus: false });
  }

  /** Opens or closes the chat; a reply continues either way. */
  async toggle({ takesFocus = true } = {}) {
    this.#panel ??= this.#createPanel();
    const { panel, chat } = await this.#panel;
    panel.hidden = !panel.hidden;
    this.launcher.ariaExpanded = String(!panel.hidden);
    if (takesFocus) (panel.hidden ? this.launcher : chat).focus();
  }

  async #createPanel() {
    const loading = [loadChat(this), createSheet(loadChatStyle())];
    const [{ show, make, words, conversation }, style] = await Promise.all(loading);
    const onclick = () => this.toggle();
    const closeLabel = { className: "close", ariaLabel: words.closeChat };
    const close = make("button", { type: "button", ...closeLabel, onclick }, "×");
    const title = make("h1", {}, this.getAttribute("label") || words.title);
    const header = make("header", { dir: words.direction }, title, close);
    const container = make("div", { className: "container" });
    const dialog = { hidden: true, role: "dialog", ariaLabel: words.title };
    const panel = make("section", { className: "panel", ...dialog }, header, container);
    panel.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && !event.defaultPrevented) this.toggle();
    });
    this.shadowRoot.adoptedStyleSheets.push(style);
    this.shadowRoot.append(panel);
    const chat = show(container, conversation, words);
    conversation.start();
    return { panel, chat };
  }
}

// Scripts of the host page register their tools here.
globalThis.privity = { tool: (name, run) => void tools.set(name, run) };

customElements.define("privity-chat", PrivityChat);

// A script tag alone is enough: its data-… attributes become the element's attributes.
if (script && !document.querySelector("privity-chat")) {
  const element = document.createElement("privity-chat");
  for (const [name, value] of Object.entries(script.dataset)) element.setAttribute(name, value);
  document.body.append(element);
}

/* <privity-chat>: the chat as a button in the corner of another page. See docs/chat_page.md. */

const BUTTON = `
:host { --button-ink: var(--privity-on-accent, light-dark(#fff, #06201e)); --button: var(--privity-accent, light-dark(#0f6b66, #6fd0c7));
  color-scheme: light dark; position: fixed; z-index: 2147483000;
  inset-block-end: var(--privity-bottom, 1rem); inset-inline-end: var(--privity-side, 1rem); }
.launcher { font: 600 1rem/1 var(--privity-font, system-ui, sans-serif); color: var(--button-ink); background: var(--button);
  border: 0; border-radius: 2rem; min-block-size: 3rem; padding: 0 1.25rem; cursor: pointer; box-shadow: 0 2px 12px #0004; }
.launcher:focus-visible { outline: 3px solid var(--button); outline-offset: 3px; }`;

const here = (name) => new URL(name, import.meta.url);
const script = [...document.scripts].find((one) => one.src === import.meta.url);

// A sheet made by script needs no exception in the host page's Content-Security-Policy.
async function sheetOf(text) {
  return new CSSStyleSheet().replace(await text);
}

async function chatStyle() {
  return (await fetch(here("chat.css"))).text();
}

function contextOf(text) {
  try {
    return text ? JSON.parse(text) : undefined;
  } catch {
    return text;
  }
}

async function chatFor(element) {
  const [{ show }, { Conversation }, { make }, { bestOf, languages, wordsOf }] = await Promise.all(
    ["chat.js", "conversation.js", "dom.js", "words.js"].map((name) => import(here(name))));
  const wanted = [element.getAttribute("language"), document.documentElement.lang, ...navigator.languages];
  const words = await wordsOf(bestOf(wanted, await languages()));
  const conversation = new Conversation({ locale: words.tag, context: () => element.context });
  return { show, make, words, conversation };
}

class PrivityChat extends HTMLElement {
  #panel = null;

  /** What the assistant may know of the host page: any JSON, sent with each message. */
  get context() {
    return this.given ?? contextOf(this.getAttribute("context"));
  }

  set context(value) {
    this.given = value;
  }

  async connectedCallback() {
    if (this.shadowRoot) return;
    const shadow = this.attachShadow({ mode: "open" });
    this.launcher = document.createElement("button");
    Object.assign(this.launcher, { className: "launcher", type: "button", onclick: () => this.toggle() });
    this.launcher.textContent = this.getAttribute("label") || "Chat";
    this.launcher.ariaExpanded = "false";
    shadow.adoptedStyleSheets = [await sheetOf(BUTTON)];
    shadow.append(this.launcher);
    // Whoever reads the host page keeps the cursor where it is.
    if (this.hasAttribute("open")) this.toggle({ takesFocus: false });
  }

  /** Opens the chat, or closes it; a reply goes on either way. */
  async toggle({ takesFocus = true } = {}) {
    this.#panel ??= this.#made();
    const { panel, shown } = await this.#panel;
    panel.hidden = !panel.hidden;
    this.launcher.ariaExpanded = String(!panel.hidden);
    if (takesFocus) (panel.hidden ? this.launcher : shown).focus();
  }

  async #made() {
    const [{ show, make, words, conversation }, style] = await Promise.all([chatFor(this), sheetOf(chatStyle())]);
    const close = make("button", { type: "button", className: "close", ariaLabel: words.closeChat, onclick: () => this.toggle() }, "×");
    const head = make("header", { dir: words.direction }, make("h1", {}, this.getAttribute("label") || words.title), close);
    const place = make("div", { className: "place" });
    const panel = make("section", { className: "panel", hidden: true, role: "dialog", ariaLabel: words.title }, head, place);
    panel.addEventListener("keydown", (event) => event.key === "Escape" && !event.defaultPrevented && this.toggle());
    this.shadowRoot.adoptedStyleSheets.push(style);
    this.shadowRoot.append(panel);
    const shown = show(place, conversation, words);
    conversation.begin();
    return { panel, shown };
  }
}

customElements.define("privity-chat", PrivityChat);

// The script alone is enough: what it was told with data-… becomes the element's attributes.
if (script && !document.querySelector("privity-chat")) {
  const element = document.createElement("privity-chat");
  for (const [name, value] of Object.entries(script.dataset)) element.setAttribute(name, value);
  document.body.append(element);
}

/* Creates elements. Text stays text: nothing here parses markup. */

/** An element. Properties `on…` are listeners; unknown ones and those with a hyphen are attributes. */
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  // Children come before dir="auto": with it, the browser reads all text again for each new child.
  element.append(...children);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name in element && !name.includes("-")) element[name] = value;
    else element.setAttribute(name, value);
  }
  return element;
}

export const button = (label, onclick, properties = {}) =>
  make("button", { type: "button", onclick, ...properties }, label);

/** Does nothing if the text is the same, so that screen readers do not read it twice. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

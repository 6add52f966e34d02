/* Making elements. Text only ever becomes text: nothing here parses markup. */

/** An element with properties (`on…` are listeners, `aria-…` and others attributes) and children. */
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name in element && !name.includes("-")) element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

export const button = (label, onclick, properties = {}) =>
  make("button", { type: "button", onclick, ...properties }, label);

/** Sets text only when it differs: a change that changes nothing would be read aloud again. */
export function tellText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// Enough of a browser for a page that chats: a document, and a fetch that keeps cookies.
import { JSDOM } from 'jsdom';

export function openBrowser(origin, answered) {
  const { window } = new JSDOM('<!doctype html><div id="root"></div>', { url: origin });
  const cookies = new Map();
  const requests = [];
  const fetchFromAfar = globalThis.fetch;

  globalThis.window = window;
  globalThis.document = window.document;
  globalThis.navigator ??= window.navigator;
  globalThis.fetch = async (url, init = {}) => {
    const headers = new Headers(init.headers);
    headers.set('cookie', [...cookies].map((pair) => pair.join('=')).join('; '));
    const path = String(url);
    const response = await fetchFromAfar(new URL(path, origin), { ...init, headers });
    for (const given of response.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(given);
      cookies.set(name, value);
    }
    const body = typeof init.body === 'string' ? JSON.parse(init.body) : null;
    requests.push({ method: init.method ?? 'GET', path, body, status: response.status });
    setImmediate(answered);
    return response;
  };
  return { document: window.document, requests };
}

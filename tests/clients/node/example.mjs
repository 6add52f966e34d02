// The example page in a browser, told by lines of JSON what its user does.
import { createInterface } from 'node:readline';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { openBrowser } from './browser.mjs';

const root = process.argv[2];
const found = createRequire(`${root}/package.json`).resolve('vite');
const { createServer } = await import(pathToFileURL(found));
const vite = await createServer({ root, logLevel: 'silent', server: { port: 0, host: '127.0.0.1' } });
await vite.listen();
const origin = vite.resolvedUrls.local[0];
const { document } = openBrowser(origin, () => {});
globalThis.localStorage = window.localStorage;

const actions = {
  async open() {
    document.body.innerHTML = /<main.*main>/.exec(await (await fetch('/')).text())[0];
    vite.moduleGraph.invalidateAll();
    await vite.ssrLoadModule('/main.jsx');
  },
  send({ text }) {
    const form = document.querySelector('form');
    form.elements.text.value = text;
    form.dispatchEvent(new window.Event('submit', { bubbles: true, cancelable: true }));
  },
  async forgetElsewhere() {
    await fetch(`/api/chat/${localStorage.chat}`, { method: 'DELETE' });
  },
  async sendElsewhere({ text }) {
    const message = { id: crypto.randomUUID(), role: 'user', parts: [{ type: 'text', text }] };
    const body = JSON.stringify({ id: localStorage.chat, message });
    const headers = { 'content-type': 'application/json', accept: 'application/json' };
    await (await fetch('/api/chat', { method: 'POST', headers, body })).text();
  },
  press({ name }) {
    [...document.querySelectorAll('button')].find((one) => one.textContent === name).click();
  },
  until: ({ text = '', without }) =>
    new Promise((resolve) => {
      const look = () => {
        const shown = document.body.textContent;
        if (!shown.includes(text) || (without && shown.includes(without))) return;
        observer.disconnect();
        resolve(shown);
      };
      const observer = new window.MutationObserver(look);
      observer.observe(document.body, { childList: true, subtree: true, characterData: true });
      look();
    }),
};

for await (const line of createInterface({ input: process.stdin })) {
  const { action, ...details } = JSON.parse(line);
  const answer = Promise.resolve().then(() => actions[action](details));
  await answer.then(
    (result) => console.log(JSON.stringify({ result: result ?? null })),
    (error) => console.log(JSON.stringify({ failed: String(error?.stack ?? error) })),
  );
}
process.exit();

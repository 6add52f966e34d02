// A page with useChat, told by lines of JSON what its user does. Nothing here knows of Privity: the
// packages are used as their documentation says, with the transport as it comes.
import { createElement, StrictMode, useEffect } from 'react';
import { createRoot } from 'react-dom/client';
import { createInterface } from 'node:readline';
import { openBrowser } from './browser.mjs';

const [origin, major] = process.argv.slice(2);
const { useChat } = await import(major === '7' ? '@ai-sdk/react' : `ai-sdk-react-for-${major}`);
const sdk = await import(major === '7' ? 'ai' : `ai${major}`);

const waiting = new Set();
const lookAgain = () => waiting.forEach((look) => look());
const browser = openBrowser(origin, lookAgain);
let chat, root, seen;

function Page({ options, automatic, tools }) {
  chat = useChat({
    ...options,
    transport: new sdk.DefaultChatTransport(),
    onData: (part) => seen.data.push(part),
    onError: (error) => seen.errors.push(error.message),
    onFinish: ({ message, messages, ...rest }) => seen.finishes.push(rest),
    onToolCall({ toolCall: { toolCallId, toolName } }) {
      seen.toolCalls.push(toolCallId);
      if (toolName in tools) chat.addToolOutput({ tool: toolName, toolCallId, output: tools[toolName] });
    },
    ...(automatic && { sendAutomaticallyWhen: sdk.lastAssistantMessageIsCompleteWithToolCalls }),
  });
  useEffect(lookAgain);
  return null;
}

const state = () => ({
  id: chat.id,
  status: chat.status,
  error: chat.error?.message ?? null,
  messages: chat.messages,
  requests: browser.requests,
  ...seen,
});

const holds = ({ status, text, answered }) =>
  (status === undefined || chat.status === status) &&
  (text === undefined || JSON.stringify(chat.messages.at(-1)?.parts ?? []).includes(text)) &&
  (answered === undefined || browser.requests.length >= answered);

const actions = {
  // A page that is opened, or reloaded: whatever was open before is gone.
  open({ options = {}, strict = false, automatic = false, tools = {} }) {
    root?.unmount();
    seen = { data: [], errors: [], finishes: [], toolCalls: [] };
    browser.requests.length = 0;
    const page = createElement(Page, { options, automatic, tools });
    root = createRoot(browser.document.getElementById('root'));
    root.render(strict ? createElement(StrictMode, null, page) : page);
    chat = undefined;
  },
  send: ({ message, options }) => void chat.sendMessage(message, options),
  regenerate: ({ options }) => void chat.regenerate(options),
  resume: () => void chat.resumeStream(),
  stop: () => chat.stop(),
  tool: ({ output }) => void chat.addToolOutput(output),
  show: ({ messages }) => chat.setMessages(messages),
  state,
  until: (wanted) =>
    new Promise((resolve) => {
      const look = () => chat && holds(wanted) && (waiting.delete(look), resolve(state()));
      waiting.add(look);
      look();
    }),
  async fetch({ path, init }) {
    const response = await fetch(path, init);
    const body = await response.text();
    return { status: response.status, body: body && JSON.parse(body) };
  },
  async validate({ messages }) {
    await sdk.validateUIMessages({ messages });
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const { action, ...details } = JSON.parse(line);
  const answer = Promise.resolve().then(() => actions[action](details));
  answer.then(
    (result) => console.log(JSON.stringify({ result: result ?? null })),
    (error) => console.log(JSON.stringify({ failed: String(error?.stack ?? error) })),
  );
  await answer.catch(() => {});
}
process.exit();

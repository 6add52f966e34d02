import { useChat } from '@ai-sdk/react';
import { useState } from 'react';
import { createRoot } from 'react-dom/client';

// Any id will do: it identifies a chat only together with the cookie.
const id = (localStorage.chat ??= crypto.randomUUID());
const json = { 'content-type': 'application/json' };

async function readHistory() {
  const answer = await fetch(`/api/chat/${id}`);
  return answer.ok ? (await answer.json()).messages : [];
}

/** The code of the problem that rejected a request; undefined if a reply failed later. */
function codeOf(error) {
  try {
    return JSON.parse(error.message).code;
  } catch {
    return undefined;
  }
}

function Chat({ history }) {
  const [notice, setNotice] = useState('');
  const { messages, sendMessage, regenerate, stop, setMessages, clearError, status, error } = useChat({
    id,
    messages: history,
    resume: true,
    onData({ type }) {
      if (type !== 'data-restarted') return;
      // The service has forgotten the earlier messages, so the model does not know them either.
      setMessages((shown) => shown.slice(shown.findLastIndex(({ role }) => role === 'user')));
      setNotice('The earlier conversation has been forgotten. This is a new one.');
    },
  });
  const isBusy = status === 'submitted' || status === 'streaming';

  function send(event) {
    event.preventDefault();
    sendMessage({ text: event.target.elements.text.value });
    event.target.reset();
  }

  async function stopForGood() {
    await fetch(`/api/chat/${id}/stop`, { method: 'POST', headers: json, body: '{}' });
    await stop();
  }

  async function forget() {
    await fetch(`/api/chat/${id}`, { method: 'DELETE' });
    setMessages([]);
  }

  async function reload() {
    clearError();
    setMessages(await readHistory());
  }

  return (
    <>
      {notice && <p role="status">{notice}</p>}
      {messages.map(({ id, role, parts }) => (
        <p key={id}>
          <b>{role}:</b> {parts.map((part) => (part.type === 'text' ? part.text : ''))}
        </p>
      ))}
      {error && (codeOf(error) === 'conversation_moved_on'
        ? <p role="alert">Another tab has written more. <button onClick={reload}>Show it</button></p>
        : <p role="alert">That went wrong. <button onClick={() => regenerate()}>Try again</button></p>)}
      <form onSubmit={send}>
        <input name="text" required autoComplete="off" aria-label="Message" />
        {isBusy ? <button type="button" onClick={stopForGood}>Stop</button> : <button>Send</button>}
        <button type="button" onClick={forget}>Forget</button>
      </form>
    </>
  );
}

createRoot(document.getElementById('root')).render(<Chat history={await readHistory()} />);

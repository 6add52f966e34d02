import { useChat } from '@ai-sdk/react';
import { createRoot } from 'react-dom/client';

// Any id will do: it identifies a chat only together with the cookie.
const id = (localStorage.chat ??= crypto.randomUUID());
const json = { 'content-type': 'application/json' };

function Chat({ history }) {
  const { messages, sendMessage, regenerate, stop, setMessages, status, error } = useChat({
    id,
    messages: history,
    resume: true,
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

  return (
    <>
      {messages.map(({ id, role, parts }) => (
        <p key={id}>
          <b>{role}:</b> {parts.map((part) => (part.type === 'text' ? part.text : ''))}
        </p>
      ))}
      {error && <p role="alert">That went wrong. <button onClick={() => regenerate()}>Try again</button></p>}
      <form onSubmit={send}>
        <input name="text" required autoComplete="off" aria-label="Message" />
        {isBusy ? <button type="button" onClick={stopForGood}>Stop</button> : <button>Send</button>}
        <button type="button" onClick={forget}>Forget</button>
      </form>
    </>
  );
}

const answer = await fetch(`/api/chat/${id}`);
const { messages: history = [] } = answer.ok ? await answer.json() : {};
createRoot(document.getElementById('root')).render(<Chat history={history} />);

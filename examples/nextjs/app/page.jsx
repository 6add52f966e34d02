'use client';

import { useChat } from '@ai-sdk/react';
import { useEffect, useState } from 'react';

function Chat({ id, history }) {
  const { messages, sendMessage, status, error } = useChat({ id, messages: history, resume: true });

  function send(event) {
    event.preventDefault();
    sendMessage({ text: event.target.elements.text.value });
    event.target.reset();
  }

  return (
    <>
      {messages.map(({ id, role, parts }) => (
        <p key={id}>
          <b>{role}:</b> {parts.map((part) => (part.type === 'text' ? part.text : ''))}
        </p>
      ))}
      {error && <p role="alert">That went wrong.</p>}
      <form onSubmit={send}>
        <input name="text" required autoComplete="off" aria-label="Message" />
        <button disabled={status === 'submitted' || status === 'streaming'}>Send</button>
      </form>
    </>
  );
}

export default function Page() {
  const [chat, setChat] = useState(null);

  useEffect(() => {
    // Any id will do: it identifies a chat only together with the cookie.
    const id = (localStorage.chat ??= crypto.randomUUID());
    fetch(`/api/chat/${id}`)
      .then((answer) => (answer.ok ? answer.json() : { messages: [] }))
      .then(({ messages }) => setChat({ id, history: messages }));
  }, []);

  return chat && <Chat {...chat} />;
}

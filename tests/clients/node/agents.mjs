// The Agents SDK, with both APIs, and with the three ways in which it continues a conversation.
import assert from 'node:assert/strict';
import {
  Agent,
  OpenAIConversationsSession,
  OpenAIProvider,
  run,
  Runner,
  setDefaultOpenAIClient,
  setOpenAIAPI,
  setTracingDisabled,
  tool,
  user,
} from '@openai/agents';
import OpenAI from 'openai';
import { z } from 'zod';
import { apiKey, baseURL, fails, includes, isA, play, STRUCTURED, TOO_LONG, WEATHER } from './scenarios.mjs';

// Otherwise the package sends the conversation to OpenAI.
setTracingDisabled(true);
const client = new OpenAI({ baseURL, apiKey });
const weather = tool({
  name: WEATHER.name,
  description: WEATHER.description,
  parameters: z.object({ city: z.string() }),
  execute: WEATHER.run,
});
const agent = new Agent({ name: 'Clerk', instructions: 'Rhyme.' });
const looking = new Agent({ name: 'Clerk', instructions: 'Rhyme.', tools: [weather] });
const Weather = z.object({ city: z.string(), degrees: z.number() });

const scenarios = {
  async text() {
    includes((await run(new Agent({ name: 'Clerk' }), 'Hello?')).finalOutput, 'user: Hello?');
  },
  async system() {
    includes((await run(agent, 'Hello?')).finalOutput, 'Rhyme.', 'user: Hello?');
  },
  async turns() {
    const { history } = await run(agent, 'One');
    const second = await run(agent, [...history, user('Two')]);
    includes(second.finalOutput, 'user: One', 'assistant: ', 'user: Two');
  },
  async stream() {
    const result = await run(agent, 'Hello?', { stream: true });
    let text = '';
    for await (const delta of result.toTextStream()) text += delta;
    await result.completed;
    includes(text, 'user: Hello?');
    assert.equal(result.finalOutput, text);
  },
  async tools() {
    includes((await run(looking, 'How is the weather?')).finalOutput, WEATHER.found);
    const result = await run(looking, 'How is the weather?', { stream: true });
    await result.completed;
    includes(result.finalOutput, WEATHER.found);
  },
  async structured() {
    const asking = new Agent({ name: 'Clerk', outputType: Weather });
    assert.deepEqual((await run(asking, 'How is the weather?')).finalOutput, STRUCTURED.answer);
  },
  async error() {
    await fails(run(agent, TOO_LONG), isA(OpenAI.APIError), 'message_too_long');
    const modelProvider = new OpenAIProvider({ baseURL, apiKey: 'sk-of-somebody-else' });
    const stranger = new Runner({ modelProvider }).run(agent, 'Hello?');
    await fails(stranger, isA(OpenAI.AuthenticationError), 'client_key_invalid');
  },
};

setDefaultOpenAIClient(client);
for (const api of ['responses', 'chat completions']) {
  setOpenAIAPI(api.replace(' ', '_'));
  await play({ client: '@openai/agents', installed: '@openai/agents', api }, scenarios);
}

setOpenAIAPI('responses');
const continues = async (options) => {
  await run(agent, 'One', options);
  includes((await run(agent, 'Two', options)).finalOutput, 'user: One', 'assistant: ', 'user: Two');
};
await play({ client: '@openai/agents', installed: '@openai/agents', api: 'conversations' }, {
  async turns() {
    await continues({ session: new OpenAIConversationsSession({ client }) });
    await continues({ conversationId: (await client.conversations.create()).id });
    const { lastResponseId } = await run(agent, 'One');
    const second = await run(agent, 'Two', { previousResponseId: lastResponseId });
    includes(second.finalOutput, 'user: One', 'assistant: ', 'user: Two');
  },
  async stream() {
    const session = new OpenAIConversationsSession({ client });
    const result = await run(agent, 'Hello?', { stream: true, session });
    await result.completed;
    assert.equal((await session.getItems()).length, 2);
  },
  async tools() {
    const session = new OpenAIConversationsSession({ client });
    includes((await run(looking, 'How is the weather?', { session })).finalOutput, WEATHER.found);
    includes((await run(looking, 'Thanks', { session })).finalOutput ?? '', WEATHER.found);
    const { id: conversationId } = await client.conversations.create();
    const found = await run(looking, 'How is the weather?', { conversationId });
    includes(found.finalOutput, WEATHER.found);
  },
});

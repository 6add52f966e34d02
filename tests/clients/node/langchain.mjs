// LangChain's ChatOpenAI, with both APIs.
import assert from 'node:assert/strict';
import { HumanMessage, SystemMessage } from '@langchain/core/messages';
import { tool } from '@langchain/core/tools';
import { ChatOpenAI } from '@langchain/openai';
import { apiKey, baseURL, fails, includes, isA, play, STRUCTURED, TOO_LONG, WEATHER } from './scenarios.mjs';

const look = tool(WEATHER.run, {
  name: WEATHER.name,
  description: WEATHER.description,
  schema: WEATHER.parameters,
});

for (const api of ['responses', 'chat completions']) {
  const useResponsesApi = api === 'responses';
  const withKey = (apiKey) =>
    new ChatOpenAI({ model: 'any', apiKey, useResponsesApi, configuration: { baseURL } });
  const model = withKey(apiKey);
  await play({ client: '@langchain/openai', installed: '@langchain/openai', api }, {
    async text() {
      includes((await model.invoke('Hello?')).text, 'user: Hello?');
    },
    async system() {
      const reply = await model.invoke([new SystemMessage('Rhyme.'), new HumanMessage('Hello?')]);
      includes(reply.text, 'Rhyme.', 'user: Hello?');
    },
    async turns() {
      const messages = [new HumanMessage('One')];
      messages.push(await model.invoke(messages), new HumanMessage('Two'));
      includes((await model.invoke(messages)).text, 'user: One', 'assistant: ', 'user: Two');
    },
    async stream() {
      let text = '';
      for await (const chunk of await model.stream('Hello?')) text += chunk.text;
      includes(text, 'user: Hello?');
    },
    async tools() {
      const looking = model.bindTools([look]);
      const messages = [new HumanMessage('How is the weather?')];
      const calling = await looking.invoke(messages);
      messages.push(calling);
      for (const call of calling.tool_calls) messages.push(await look.invoke(call));
      includes((await looking.invoke(messages)).text, WEATHER.found);
    },
    async structured() {
      const asking = model.withStructuredOutput(STRUCTURED.schema, { name: 'weather' });
      assert.deepEqual(await asking.invoke('How is the weather?'), STRUCTURED.answer);
    },
    async error() {
      await fails(withKey('sk-of-somebody-else').invoke('Hello?'), isA(Error), 'client_key_invalid');
      await fails(model.invoke(TOO_LONG), isA(Error), 'message_too_long');
    },
  });
}

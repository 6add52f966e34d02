// The openai package: Responses, Chat Completions and Conversations.
import assert from 'node:assert/strict';
import OpenAI from 'openai';
import { zodResponseFormat, zodTextFormat } from 'openai/helpers/zod';
import { z } from 'zod';
import { apiKey, baseURL, fails, includes, isA, play, STRUCTURED, TOO_LONG, WEATHER } from './scenarios.mjs';

const client = new OpenAI({ baseURL, apiKey });
const stranger = new OpenAI({ baseURL, apiKey: 'sk-of-somebody-else' });
const model = 'any';
const { name, description, parameters } = WEATHER;
const Weather = z.object({ city: z.string(), degrees: z.number() });

const tool = { type: 'function', name, description, parameters, strict: true };
await play({ client: 'openai', installed: 'openai', api: 'responses' }, {
  async text() {
    const response = await client.responses.create({ model, input: 'Hello?' });
    includes(response.output_text, 'user: Hello?');
    assert.equal(response.status, 'completed');
  },
  async system() {
    const input = [{ role: 'system', content: 'Rhyme.' }, { role: 'user', content: 'Hello?' }];
    includes((await client.responses.create({ model, input })).output_text, 'Rhyme.', 'user: Hello?');
    const developer = await client.responses.create({
      model,
      instructions: 'Be brief.',
      input: [{ role: 'developer', content: 'Rhyme.' }, { role: 'user', content: 'Hello?' }],
    });
    includes(developer.output_text, 'Be brief.', 'Rhyme.', 'user: Hello?');
  },
  async turns() {
    const first = await client.responses.create({ model, input: 'One' });
    const second = await client.responses.create({
      model,
      previous_response_id: first.id,
      input: 'Two',
    });
    includes(second.output_text, 'user: One', 'user: Two');
    const history = [{ role: 'user', content: 'One' }, ...first.output, { role: 'user', content: 'Two' }];
    includes(
      (await client.responses.create({ model, input: history })).output_text,
      'user: One',
      'assistant: ',
      'user: Two',
    );
  },
  async stream() {
    const stream = client.responses.stream({ model, input: 'Hello?' });
    let text = '';
    for await (const event of stream) {
      if (event.type === 'response.output_text.delta') text += event.delta;
    }
    includes(text, 'user: Hello?');
    assert.equal((await stream.finalResponse()).output_text, text);
  },
  async tools() {
    const input = [{ role: 'user', content: 'How is the weather?' }];
    const first = await client.responses.create({ model, input, tools: [tool] });
    const calls = first.output.filter((item) => item.type === 'function_call');
    assert.equal(calls.length, 1);
    const results = calls.map((call) => ({
      type: 'function_call_output',
      call_id: call.call_id,
      output: WEATHER.run(JSON.parse(call.arguments)),
    }));
    const tools = [tool];
    const continued = { model, tools, previous_response_id: first.id, input: results };
    includes((await client.responses.create(continued)).output_text, WEATHER.found);
    const whole = { model, tools, store: false, input: [...input, ...first.output, ...results] };
    includes((await client.responses.create(whole)).output_text, WEATHER.found);
  },
  async structured() {
    const response = await client.responses.parse({
      model,
      input: 'How is the weather?',
      text: { format: zodTextFormat(Weather, 'weather') },
    });
    assert.deepEqual(response.output_parsed, STRUCTURED.answer);
  },
  async error() {
    const hello = { model, input: 'Hello?' };
    await fails(stranger.responses.create(hello), isA(OpenAI.AuthenticationError), 'client_key_invalid');
    const long = client.responses.create({ model, input: TOO_LONG });
    await fails(long, isA(OpenAI.APIError), 'message_too_long');
  },
});

const chatTool = { type: 'function', function: { name, description, parameters, strict: true } };
const complete = async (body, of = client) =>
  (await of.chat.completions.create({ model, ...body })).choices[0].message;
await play({ client: 'openai', installed: 'openai', api: 'chat completions' }, {
  async text() {
    includes((await complete({ messages: [{ role: 'user', content: 'Hello?' }] })).content, 'user: Hello?');
  },
  async system() {
    for (const role of ['system', 'developer']) {
      const messages = [{ role, content: 'Rhyme.' }, { role: 'user', content: 'Hello?' }];
      includes((await complete({ messages })).content, 'Rhyme.', 'user: Hello?');
    }
  },
  async turns() {
    const messages = [{ role: 'user', content: 'One' }];
    messages.push(await complete({ messages }), { role: 'user', content: 'Two' });
    includes((await complete({ messages })).content, 'user: One', 'assistant: ', 'user: Two');
  },
  async stream() {
    const stream = client.chat.completions.stream({
      model,
      messages: [{ role: 'user', content: 'Hello?' }],
      stream_options: { include_usage: true },
    });
    let text = '';
    for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? '';
    includes(text, 'user: Hello?');
    const whole = await stream.finalChatCompletion();
    assert.equal(whole.choices[0].message.content, text);
    assert.equal(whole.choices[0].finish_reason, 'stop');
    assert.ok(whole.usage.total_tokens > 0);
  },
  async tools() {
    const body = { messages: [{ role: 'user', content: 'How is the weather?' }], tools: [chatTool] };
    const calling = await complete(body);
    body.messages.push(calling);
    for (const call of calling.tool_calls) {
      const content = WEATHER.run(JSON.parse(call.function.arguments));
      body.messages.push({ role: 'tool', tool_call_id: call.id, content });
    }
    includes((await complete(body)).content, WEATHER.found);
    const runner = client.chat.completions.runTools({
      model,
      stream: true,
      messages: [{ role: 'user', content: 'How is the weather?' }],
      tools: [{ type: 'function', function: { ...chatTool.function, parse: JSON.parse, function: WEATHER.run } }],
    });
    includes(await runner.finalContent(), WEATHER.found);
  },
  async structured() {
    const completion = await client.chat.completions.parse({
      model,
      messages: [{ role: 'user', content: 'How is the weather?' }],
      response_format: zodResponseFormat(Weather, 'weather'),
    });
    assert.deepEqual(completion.choices[0].message.parsed, STRUCTURED.answer);
  },
  async error() {
    const messages = [{ role: 'user', content: 'Hello?' }];
    await fails(complete({ messages }, stranger), isA(OpenAI.AuthenticationError), 'client_key_invalid');
    const long = complete({ messages: [{ role: 'user', content: TOO_LONG }] });
    await fails(long, isA(OpenAI.APIError), 'message_too_long');
  },
});

const texts = async (conversation) => {
  const found = [];
  for await (const item of client.conversations.items.list(conversation, { order: 'asc' }))
    found.push(item.content?.[0].text ?? item.type);
  return found;
};
await play({ client: 'openai', installed: 'openai', api: 'conversations' }, {
  async text() {
    const { id } = await client.conversations.create();
    const response = await client.responses.create({ model, conversation: id, input: 'Hello?' });
    assert.deepEqual(await texts(id), ['Hello?', response.output_text]);
    assert.equal((await client.conversations.delete(id)).deleted, true);
    await fails(client.conversations.retrieve(id), isA(OpenAI.NotFoundError), 'conversation_not_found');
  },
  async system() {
    const items = [{ role: 'system', content: 'Rhyme.' }];
    const { id } = await client.conversations.create({ items });
    for (const input of ['One', 'Two']) {
      const response = await client.responses.create({ model, conversation: id, input });
      includes(response.output_text, 'Rhyme.', `user: ${input}`);
    }
    assert.equal((await texts(id))[0], 'Rhyme.');
  },
  async turns() {
    const { id } = await client.conversations.create({ metadata: { topic: 'tea' } });
    await client.responses.create({ model, conversation: id, input: 'One' });
    const second = await client.responses.create({ model, conversation: id, input: 'Two' });
    includes(second.output_text, 'user: One', 'user: Two');
    assert.deepEqual((await client.conversations.retrieve(id)).metadata, { topic: 'tea' });
  },
  async stream() {
    const { id } = await client.conversations.create();
    const stream = client.responses.stream({ model, conversation: id, input: 'Hello?' });
    const { output_text: text } = await stream.finalResponse();
    assert.deepEqual(await texts(id), ['Hello?', text]);
  },
  async tools() {
    const { id } = await client.conversations.create();
    const turn = { model, conversation: id, tools: [tool] };
    const first = await client.responses.create({ ...turn, input: 'How is the weather?' });
    const call = first.output.find((item) => item.type === 'function_call');
    const output = WEATHER.run(JSON.parse(call.arguments));
    const input = [{ type: 'function_call_output', call_id: call.call_id, output }];
    includes((await client.responses.create({ ...turn, input })).output_text, WEATHER.found);
  },
  async structured() {
    const { id } = await client.conversations.create();
    const response = await client.responses.parse({
      model,
      conversation: id,
      input: 'How is the weather?',
      text: { format: zodTextFormat(Weather, 'weather') },
    });
    assert.deepEqual(response.output_parsed, STRUCTURED.answer);
  },
  async error() {
    await fails(stranger.conversations.create(), isA(OpenAI.AuthenticationError), 'client_key_invalid');
    const unknown = client.conversations.retrieve(`conv_${'0'.repeat(32)}`);
    await fails(unknown, isA(OpenAI.NotFoundError), 'conversation_not_found');
  },
});

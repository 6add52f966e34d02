// generateText, streamText, tools and generateObject of the AI SDK, with each provider package that
// takes the address of a server.
import assert from 'node:assert/strict';
import { apiKey, baseURL, fails, includes, play, STRUCTURED, TOO_LONG, WEATHER } from './scenarios.mjs';

const major = process.argv[2];
const named = (name) => (major === '7' ? `@ai-sdk/${name}` : `ai-sdk-${name}-for-${major}`);
const sdk = await import(major === '7' ? 'ai' : `ai${major}`);
const { createOpenAI } = await import(named('openai'));
const { createOpenAICompatible } = await import(named('openai-compatible'));

const openai = createOpenAI({ baseURL, apiKey });
const unknownKey = { baseURL, apiKey: 'sk-of-somebody-else' };
const compatible = { name: 'privity', baseURL, includeUsage: true, supportsStructuredOutputs: true };
const PROVIDERS = {
  'openai/responses': [openai('any'), createOpenAI(unknownKey)('any')],
  'openai/chat completions': [openai.chat('any'), createOpenAI(unknownKey).chat('any')],
  'openai-compatible/chat completions': [
    createOpenAICompatible({ ...compatible, apiKey })('any'),
    createOpenAICompatible({ ...compatible, ...unknownKey })('any'),
  ],
};
// There is no @ai-sdk/open-responses for ai 5.
if (major !== '5') {
  const { createOpenResponses } = await import(named('open-responses'));
  const options = { name: 'privity', url: `${baseURL}/responses` };
  PROVIDERS['open-responses/responses'] = [
    createOpenResponses({ ...options, apiKey })('any'),
    createOpenResponses({ ...options, apiKey: unknownKey.apiKey })('any'),
  ];
}

const instructions = (text) => ({ [major === '7' ? 'instructions' : 'system']: text });
const weather = sdk.tool({
  description: WEATHER.description,
  inputSchema: sdk.jsonSchema(WEATHER.parameters),
  execute: WEATHER.run,
});
const looking = { prompt: 'How is the weather?', tools: { weather }, stopWhen: sdk.stepCountIs(2) };

const scenariosOf = ([model, refused]) => ({
  async text() {
    includes((await sdk.generateText({ model, prompt: 'Hello?' })).text, 'user: Hello?');
  },
  async system() {
    const { text } = await sdk.generateText({ model, ...instructions('Rhyme.'), prompt: 'Hello?' });
    includes(text, 'Rhyme.', 'user: Hello?');
  },
  async turns() {
    const messages = [{ role: 'user', content: 'One' }];
    const { response } = await sdk.generateText({ model, messages });
    messages.push(...response.messages, { role: 'user', content: 'Two' });
    const { text } = await sdk.generateText({ model, messages });
    includes(text, 'user: One', 'assistant: ', 'user: Two');
  },
  async stream() {
    const result = sdk.streamText({ model, prompt: 'Hello?', onError: () => {} });
    let text = '';
    for await (const delta of result.textStream) text += delta;
    includes(text, 'user: Hello?');
    assert.equal(await result.finishReason, 'stop');
    assert.ok((await result.usage).outputTokens > 0);
  },
  async tools() {
    const { text, steps } = await sdk.generateText({ model, ...looking });
    includes(text, WEATHER.found);
    assert.equal(steps.length, 2);
    includes(await sdk.streamText({ model, ...looking, onError: () => {} }).text, WEATHER.found);
  },
  async structured() {
    const prompt = 'How is the weather?';
    const schema = sdk.jsonSchema(STRUCTURED.schema);
    assert.deepEqual((await sdk.generateObject({ model, prompt, schema })).object, STRUCTURED.answer);
  },
  async error() {
    const wrongKey = sdk.generateText({ model: refused, prompt: 'Hello?' });
    await fails(wrongKey, sdk.APICallError.isInstance, 'client_key_invalid');
    const long = sdk.generateText({ model, prompt: TOO_LONG });
    await fails(long, sdk.APICallError.isInstance, 'message_too_long');
  },
});

for (const [names, models] of Object.entries(PROVIDERS)) {
  const [name, api] = names.split('/');
  const installed = named(name);
  await play({ client: `@ai-sdk/${name}, ai ${major}`, installed, api }, scenariosOf(models));
}

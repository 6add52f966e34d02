// Runs the scenarios of a client, and prints how each of them went as a line of JSON.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export const baseURL = process.env.BASE_URL;
export const apiKey = process.env.API_KEY;

// The tool that the model calls with {"city": "Rome"}, and what it then makes of the result.
export const WEATHER = {
  name: 'weather',
  description: 'The weather in a city.',
  parameters: {
    type: 'object',
    properties: { city: { type: 'string' } },
    required: ['city'],
    additionalProperties: false,
  },
  run: ({ city }) => `sunny in ${city}`,
  found: 'The tool says: sunny in Rome',
};

// The model answers each request for structured output with this.
export const STRUCTURED = {
  schema: {
    type: 'object',
    properties: { city: { type: 'string' }, degrees: { type: 'number' } },
    required: ['city', 'degrees'],
    additionalProperties: false,
  },
  answer: { city: 'Rome', degrees: 21 },
};

// Longer than a message may be.
export const TOO_LONG = 'long '.repeat(25_000);

const versionOf = (name) => {
  const at = new URL(`./node_modules/${name}/package.json`, import.meta.url);
  return JSON.parse(readFileSync(fileURLToPath(at))).version;
};

// Every text must be in the reply, which repeats what the model was sent.
export const includes = (reply, ...texts) => {
  for (const text of texts) assert.ok(reply.includes(text), `"${text}" is not in "${reply}"`);
};

export const isA = (kind) => (error) => error instanceof kind;

// The call must fail with an error of the client's own kind that shows Privity's code.
export const fails = async (call, isOwn, code) => {
  const error = await call.then(
    () => assert.fail('the call did not fail'),
    (error) => error,
  );
  assert.ok(isOwn(error), `not the client's own error: ${error?.stack}`);
  includes(`${error.code} ${error.responseBody}`, code);
  return error;
};

export async function play({ client, installed, api }, scenarios) {
  for (const [scenario, run] of Object.entries(scenarios)) {
    let outcome = 'works';
    try {
      await run();
    } catch (error) {
      outcome = `fails: ${error?.stack ?? error}`;
    }
    console.log(JSON.stringify({ client, version: versionOf(installed), api, scenario, outcome }));
  }
}

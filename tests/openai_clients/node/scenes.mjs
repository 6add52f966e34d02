// OpenAI's JavaScript package, unmodified: node scenes.mjs <scene>, with BASE_URL and API_KEY set.
import assert from "node:assert/strict";
import OpenAI from "openai";

const client = new OpenAI({ baseURL: process.env.BASE_URL, apiKey: process.env.API_KEY });
const LOOK = {
  type: "function",
  name: "look",
  parameters: { type: "object", properties: { city: { type: "string" } } },
  strict: false,
};
const ask = (input, wishes = {}) => client.responses.create({ model: "any", input, ...wishes });
const texts = async (conversation) => {
  const found = [];
  for await (const item of client.conversations.items.list(conversation, { order: "asc", limit: 1 }))
    found.push(item.content[0].text);
  return found;
};

const scenes = {
  async conversations() {
    const items = [{ role: "user", content: "Hello?" }, { role: "assistant", content: "Hi!" }];
    const created = await client.conversations.create({ metadata: { topic: "tea" }, items });
    assert.deepEqual(await client.conversations.retrieve(created.id), created);
    const changed = await client.conversations.update(created.id, { metadata: { topic: "milk" } });
    assert.deepEqual(changed.metadata, { topic: "milk" });
    const added = await client.conversations.items.create(created.id, { items });
    assert.deepEqual(await texts(created.id), ["Hello?", "Hi!", "Hello?", "Hi!"]);
    const where = { conversation_id: created.id };
    const found = await client.conversations.items.retrieve(added.data[0].id, where);
    assert.deepEqual(found, added.data[0]);
    await client.conversations.items.delete(added.data[0].id, where);
    assert.deepEqual(await texts(created.id), ["Hello?", "Hi!", "Hi!"]);
    assert.equal((await client.conversations.delete(created.id)).deleted, true);
    await assert.rejects(client.conversations.retrieve(created.id), OpenAI.NotFoundError);
  },

  async responses() {
    const first = await ask("One", { metadata: { topic: "tea" } });
    assert.equal(first.output_text.trim(), "One");
    const second = await ask("Two", { previous_response_id: first.id });
    assert.equal(second.output_text.trim(), "One / Two");
    const branch = await ask("Three", { previous_response_id: first.id });
    assert.equal(branch.output_text.trim(), "One / Three");
    assert.deepEqual((await client.responses.retrieve(first.id)).metadata, { topic: "tea" });
    const inputs = [];
    for await (const item of client.responses.inputItems.list(second.id)) inputs.push(item.type);
    assert.deepEqual(inputs, ["message", "message", "message"]);
    await client.responses.delete(second.id);
    await assert.rejects(client.responses.retrieve(second.id), OpenAI.NotFoundError);
    const unkept = await ask("Aside", { store: false });
    await assert.rejects(client.responses.retrieve(unkept.id), OpenAI.NotFoundError);
    const later = await ask("Later", { background: true });
    assert.equal((await client.responses.cancel(later.id)).id, later.id);
  },

  async tools() {
    const first = await ask("Please look.", { tools: [LOOK] });
    const calls = first.output.filter((item) => item.type === "function_call");
    const answers = calls.map((call) => ({
      type: "function_call_output",
      call_id: call.call_id,
      output: `sunny in ${JSON.parse(call.arguments).city}`,
    }));
    const second = await ask(answers, { previous_response_id: first.id, tools: [LOOK] });
    assert.equal(second.output_text.trim(), "Found sunny in Rome and sunny in Oslo");
  },

  async streaming() {
    const conversation = await client.conversations.create();
    const stream = client.responses.stream({
      model: "any",
      input: "Hello there?",
      conversation: conversation.id,
    });
    const numbers = [];
    for await (const event of stream) numbers.push(event.sequence_number);
    const response = await stream.finalResponse();
    assert.deepEqual(numbers, numbers.map((_, at) => at));
    assert.equal(response.output_text.trim(), "Hello there?");
    assert.deepEqual(await texts(conversation.id), ["Hello there?", "Hello there? "]);
    const looking = await ask("Please look.", { tools: [LOOK], stream: true });
    let last;
    for await (const event of looking) last = event;
    assert.equal(last.type, "response.completed");
    assert.equal(last.response.output.length, 3);
  },

  async refusals() {
    const lacking = await ask("Hello?", { top_logprobs: 3 }).catch((error) => error);
    assert.ok(lacking instanceof OpenAI.BadRequestError);
    assert.equal(lacking.code, "parameter_unsupported");
    assert.equal(lacking.param, "top_logprobs");
    const stranger = new OpenAI({ baseURL: process.env.BASE_URL, apiKey: "sk-free-form" });
    const refused = await stranger.models.list().catch((error) => error);
    assert.ok(refused instanceof OpenAI.AuthenticationError);
    assert.match(refused.message, /client-key/);
  },

  async models() {
    const models = [];
    for await (const model of client.models.list()) models.push(model.id);
    assert.deepEqual(models, ["clerk"]);
    assert.equal((await client.models.retrieve("clerk")).id, "clerk");
  },
};

await scenes[process.argv[2]]();

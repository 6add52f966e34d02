/* A reply while it is being written: what the chunks of its stream make of it. */

const ENDINGS = { finish: "finished", abort: "interrupted", error: "failed" };

/** A reply of which nothing was said yet. */
export const beginning = () => ({ role: "assistant", id: null, text: "", status: "writing" });

/** Puts one chunk into the reply. Thinking and tools are not shown. */
export function hear(reply, chunk) {
  // A stream that was joined is told from its beginning.
  if (chunk.type === "start") Object.assign(reply, { id: chunk.messageId, turnId: chunk.messageMetadata.turnId, text: "" });
  if (chunk.type === "text-start" && reply.text) reply.text += "\n\n";
  if (chunk.type === "text-delta") reply.text += chunk.delta;
  if (chunk.type in ENDINGS) Object.assign(reply, { status: ENDINGS[chunk.type], code: chunk.code });
}

/** A message of the history, as the page shows it. */
export const messageOf = ({ id, role, content, status }) => ({ id, role, text: content, status });

/* A reply that is being written, and how each chunk of the stream changes it. */

const STATUSES = { finish: "finished", abort: "interrupted", error: "failed" };

export const emptyReply = () => ({ role: "assistant", id: null, text: "", status: "writing" });

/** Applies one chunk to the reply. Reasoning and tools are not shown. */
export function applyChunk(reply, chunk) {
  if (chunk.type === "start") {
    // A stream without a cursor replays the reply from its start.
    Object.assign(reply, { id: chunk.messageId, turnId: chunk.messageMetadata.turnId, text: "" });
  }
  if (chunk.type === "text-start" && reply.text) reply.text += "\n\n";
  if (chunk.type === "text-delta") reply.text += chunk.delta;
  if (chunk.type in STATUSES) Object.assign(reply, { status: STATUSES[chunk.type], code: chunk.code });
}

/** A message of the history, as the page shows it. */
export const messageFrom = ({ id, role, content, status }) => ({ id, role, text: content, status });

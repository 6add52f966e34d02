/* What the tabs of one browser share: which conversation it is, and that something happened in it.
   No word of a conversation is kept here or sent from tab to tab: each reads it from the service. */

const SESSION = "privity.session";
const OWN_TURN = "privity.turn";

// A browser that forbids storage still has a conversation, for as long as its page lives.
function guarded(storage) {
  const instead = new Map();
  const attempt = (stored, otherwise) => {
    try {
      return stored(globalThis[storage]);
    } catch {
      return otherwise();
    }
  };
  return {
    get: (name) => attempt((kept) => kept.getItem(name), () => instead.get(name) ?? null),
    set: (name, value) => attempt((kept) => kept.setItem(name, value), () => instead.set(name, value)),
    drop: (name) => attempt((kept) => kept.removeItem(name), () => instead.delete(name)),
  };
}

const shared = guarded("localStorage");
const own = guarded("sessionStorage");
const channel = new BroadcastChannel("privity");

export const session = () => shared.get(SESSION);
export const keepSession = (id) => shared.set(SESSION, id);

/** Drops this session, not one that another tab has begun since. */
export const dropSession = (id) => session() === id && shared.drop(SESSION);

/** The turn this tab began: known again after a reload, when others must not be told of it. */
export const ownTurn = () => own.get(OWN_TURN);
export const keepOwnTurn = (id) => own.set(OWN_TURN, id);

export const language = () => shared.get("privity.language");
export const keepLanguage = (tag) => shared.set("privity.language", tag);

/** Tells the other tabs which conversation it is now, and that there is something new to read. */
export const tell = () => channel.postMessage(session());

/** Calls `look` when another tab told, or when this one is looked at again. */
export function whenTold(look) {
  const seen = () => document.visibilityState === "visible" && look();
  channel.addEventListener("message", ({ data: id }) => {
    // What another tab stored may be seen here later than its message.
    if (id) keepSession(id);
    else shared.drop(SESSION);
    look();
  });
  document.addEventListener("visibilitychange", seen);
}

export function forgetAll() {
  for (const name of [SESSION, OWN_TURN]) [shared, own].forEach((kept) => kept.drop(name));
}

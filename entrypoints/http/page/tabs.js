/* The tabs of a browser share the session id, and notify each other when the conversation changes.
   No text of a conversation is stored or sent between tabs: each tab reads it from the service. */

const SESSION = "privity.session";
const OWN_TURN = "privity.turn";

// Where the browser forbids storage, values live as long as the page.
function safeStorage(name) {
  const fallback = new Map();
  const attempt = (action, otherwise) => {
    try {
      return action(globalThis[name]);
    } catch {
      return otherwise();
    }
  };
  return {
    get: (key) => attempt((storage) => storage.getItem(key), () => fallback.get(key) ?? null),
    set: (key, value) =>
      attempt((storage) => storage.setItem(key, value), () => fallback.set(key, value)),
    remove: (key) => attempt((storage) => storage.removeItem(key), () => fallback.delete(key)),
  };
}

const shared = safeStorage("localStorage");
const own = safeStorage("sessionStorage");
const channel = new BroadcastChannel("privity");

export const session = () => shared.get(SESSION);
export const saveSession = (id) => shared.set(SESSION, id);

/** Removes this session, but not one that another tab has started since. */
export const removeSession = (id) => session() === id && shared.remove(SESSION);

/** The turn that this tab requested; survives a reload, and other tabs do not see it. */
export const ownTurn = () => own.get(OWN_TURN);
export const saveOwnTurn = (id) => own.set(OWN_TURN, id);

export const language = () => shared.get("privity.language");
export const saveLanguage = (tag) => shared.set("privity.language", tag);

/** Runs `task` while no other tab runs one. Without https or storage, pages have no locks. */
export async function withLock(signal, task) {
  const locked = navigator.locks?.request(SESSION, { signal }, task);
  return (locked ?? task()).catch((error) => {
    if (error.name !== "SecurityError") throw error;
    return task();
  });
}

/** Announces to the other tabs that the conversation changed. */
export const announceChange = () => channel.postMessage(session());

/** Calls `refresh` when another tab announces a change, and when this tab becomes visible. */
export function onChange(refresh) {
  channel.addEventListener("message", ({ data: id }) => {
    // The message may arrive before the stored id is visible here.
    if (id) saveSession(id);
    else shared.remove(SESSION);
    refresh();
  });
  document.addEventListener("visibilitychange", () =>
    document.visibilityState === "visible" && refresh());
}

export function clear() {
  shared.remove(SESSION);
  own.remove(OWN_TURN);
}

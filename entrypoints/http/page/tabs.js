/* The tabs of a browser share the session id, and notify each other when the conversation changes.
   No text of a conversation is stored or sent between tabs: each tab reads it from the service. */

const SESSION = "privity.session";
const CREATED = `${SESSION} `;
const OWN_TURN = "privity.turn";
const TOOLS = "privity.tools";

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

const removed = new Set();

/** Removes this session, but not one that another tab has started since. */
export function removeSession(id) {
  removed.add(id);
  if (session() === id) shared.remove(SESSION);
}

/** The turn that this tab requested; survives a reload, and other tabs do not see it. */
export const ownTurn = () => own.get(OWN_TURN);
export const saveOwnTurn = (id) => own.set(OWN_TURN, id);

export const language = () => shared.get("privity.language");
export const saveLanguage = (tag) => shared.set("privity.language", tag);

/** Runs `task` while no other tab runs one. Without https or storage, pages have no locks. */
async function withLock(signal, task, name = SESSION) {
  const locked = navigator.locks?.request(name, { signal }, task);
  return (locked ?? task()).catch((error) => {
    if (error.name !== "SecurityError") throw error;
    return task();
  });
}

/* Another tab may see a stored id only a moment later. It sees the names of locks at once. */
async function published() {
  const { held } = (await navigator.locks?.query().catch(() => null)) ?? { held: [] };
  const ids = held.flatMap(({ name }) => name.startsWith(CREATED) ? name.slice(CREATED.length) : []);
  return ids.find((id) => !removed.has(id));
}

async function publish(id) {
  saveSession(id);
  await new Promise((resolve) => {
    const hold = () => new Promise((release) => resolve(setTimeout(release, 1000)));
    (navigator.locks?.request(CREATED + id, hold) ?? Promise.reject()).catch(resolve);
  });
  return id;
}

/** The session of all tabs, once it is another one than `old`; only one tab uses `create`. */
export const openSession = (signal, old, create) =>
  withLock(signal, async () => {
    const id = (await published()) ?? session();
    return id === old ? publish(await create()) : id;
  });

/** Runs `task`, which runs tools and sends their results, while no other tab does so. */
export const runTools = (signal, task) => withLock(signal, task, TOOLS);

/** The calls that a tab has begun or stopped last. They are never begun again, even after a reload. */
export const lastCalls = () => shared.get(TOOLS);
export const saveLastCalls = (ids) => shared.set(TOOLS, ids);

/** Announces to the other tabs that the conversation changed. */
export const announceChange = () => channel.postMessage(session());

/** Calls `refresh` when another tab announces a change, and when this tab becomes visible. */
export function onChange(refresh) {
  channel.addEventListener("message", ({ data: id }) => {
    // The message may arrive before the stored id is visible here.
    if (id) saveSession(id);
    else removeSession(session());
    refresh();
  });
  document.addEventListener("visibilitychange", () =>
    document.visibilityState === "visible" && refresh());
}

export function clear() {
  removed.add(session());
  shared.remove(SESSION);
  shared.remove(TOOLS);
  own.remove(OWN_TURN);
}

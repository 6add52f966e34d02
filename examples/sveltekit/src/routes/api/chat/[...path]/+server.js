import { env } from '$env/dynamic/private';

// Privity needs the last two to reject what pages of other sites send.
const SENT = [
  ...['accept', 'content-type', 'cookie', 'idempotency-key', 'last-event-id'],
  ...['origin', 'sec-fetch-site'],
];
const KEPT = ['content-type', 'retry-after', 'set-cookie', 'x-accel-buffering'];

/** Pass a request on to Privity, and its answer back piece by piece. */
async function forward({ request, params, url, getClientAddress }) {
  const target = new URL(`/api/chat/${params.path}${url.search}`.replace(/\/(\?|$)/, '$1'), env.PRIVITY_URL);
  const answer = await fetch(target, {
    method: request.method,
    headers: {
      ...Object.fromEntries([...request.headers].filter(([name]) => SENT.includes(name))),
      // With PRIVITY_PROXIES=1, the limits per address apply to the visitor and not to this server.
      'x-forwarded-for': getClientAddress(),
    },
    body: request.method === 'POST' ? await request.arrayBuffer() : undefined,
  });
  return new Response(answer.body, {
    status: answer.status,
    headers: [...answer.headers].filter(([name]) => KEPT.includes(name)),
  });
}

export { forward as GET, forward as POST, forward as DELETE };

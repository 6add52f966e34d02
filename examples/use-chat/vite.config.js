// Page and service have to be one site, or the browser keeps the cookie to itself. In production the
// same is done by the proxy in front of both.
export default {
  server: { proxy: { '/api': process.env.PRIVITY_URL ?? 'http://127.0.0.1:8000' } },
};

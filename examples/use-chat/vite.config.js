// Page and service must be on the same site; otherwise the browser does not send the cookie. In
// production, the reverse proxy in front of both does the same.
export default {
  server: { proxy: { '/api': process.env.PRIVITY_URL ?? 'http://127.0.0.1:8000' } },
};

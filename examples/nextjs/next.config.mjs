/** @type {import('next').NextConfig} */
export default {
  // Compression would hold a stream back until it is complete.
  compress: false,
  rewrites: async () => [
    {
      source: '/api/chat/:path*',
      destination: `${process.env.PRIVITY_URL ?? 'http://127.0.0.1:8000'}/api/chat/:path*`,
    },
  ],
};

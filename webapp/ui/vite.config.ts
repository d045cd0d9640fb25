import { loadEnv } from 'vite';
import { defineConfig } from 'vitest/config';

// KIKUAI_BACKEND is where the development server finds the account API.
const backend = loadEnv('', '.', 'KIKUAI_')['KIKUAI_BACKEND'] ?? 'http://127.0.0.1:8080';

export default defineConfig({
  base: '/webapp/',
  build: {
    target: 'es2022',
    outDir: 'dist',
    assetsDir: 'assets',
    assetsInlineLimit: 0, // the policy of the page allows no data: addresses
    modulePreload: { polyfill: false },
    reportCompressedSize: false,
  },
  server: {
    proxy: { '/api': { target: backend, ws: true }, '/v1': backend },
  },
  test: { environment: 'node', include: ['test/**/*.test.ts'] },
});

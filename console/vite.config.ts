import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

/** The console: static files, which the API serves below /console/. In development it asks the API that runs beside it. */
export default defineConfig({
  root: import.meta.dirname,
  base: '/console/',
  plugins: [react()],
  build: {
    outDir: '../dist/console',
    emptyOutDir: true,
    target: 'es2022',
    // A data: address in a style would need a wider content security policy.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  server: {
    proxy: Object.fromEntries(
      ['/v1', '/v2', '/openapi.json', '/health'].map((path) => [path, 'http://127.0.0.1:8080']),
    ),
  },
});

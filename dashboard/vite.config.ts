import { defineConfig } from "vite";

/** Where `npm run dev` here finds a platform: the default address of one that `npm start` runs. */
const PLATFORM = "http://127.0.0.1:8420";

export default defineConfig({
  base: "/",
  build: {
    outDir: "dist",
    emptyOutDir: true,
    // Every browser that we support preloads modules itself, and the policy of the page allows no inline script.
    modulePreload: { polyfill: false },
    // An inlined file would be a data: address, which the page's policy allows for pictures only.
    assetsInlineLimit: 0,
    reportCompressedSize: false,
    // Libraries mark modules for frameworks that also render on a server; here nothing does.
    rolldownOptions: { checks: { moduleLevelDirective: false } },
  },
  server: {
    proxy: Object.fromEntries(
      ["/v1", "/api", "/downloads", "/healthz"].map((path) => [path, { target: PLATFORM, changeOrigin: true }]),
    ),
  },
});

import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vitest/config";

import { bridge } from "./dev/bridge.ts";

export default defineConfig({
  plugins: [svelte(), bridge()],
  // Relative, so that the pages load from tauri://localhost as from any server.
  base: "./",
  build: {
    target: "safari16",
    // The window refuses data: URLs except for pictures, and inlines nothing.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // dist/.vite/license.md: what the libraries in the pages ask for. The package brings it along.
    license: true,
  },
  server: { host: "127.0.0.1" },
  resolve: process.env["VITEST"] ? { conditions: ["browser"] } : {},
  test: { environment: "node", include: ["tests/**/*.test.ts"] },
});

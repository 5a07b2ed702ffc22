import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vite";

// The pages are served below any prefix, so that every address in them is relative.
export default defineConfig({
  base: "./",
  plugins: [svelte()],
  build: {
    outDir: "../packages/prefactor-server/src/prefactor_server/pages",
    emptyOutDir: true,
    target: "es2023",
    // Inlined files would be data: addresses, which the content security policy forbids for fonts.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  worker: { format: "es" },
});

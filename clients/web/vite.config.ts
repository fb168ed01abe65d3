// SPDX-License-Identifier: Apache-2.0
import { defineConfig } from "vite";

export default defineConfig({
  base: "./",
  build: {
    target: "es2022",
    outDir: "dist",
    emptyOutDir: true,
    chunkSizeWarningLimit: 1500,
    license: { fileName: "LICENSES.md" }, // of what is bundled; their terms ask for it
  },
  server: {
    // `npm run dev` beside a running `mapcast serve`.
    proxy: { "/v1": { target: "http://127.0.0.1:8430", ws: true } },
  },
});

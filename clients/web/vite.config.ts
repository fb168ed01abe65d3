// SPDX-License-Identifier: Apache-2.0
import { defineConfig } from "vite";

export default defineConfig({
  base: "./",
  build: {
    target: "es2022",
    outDir: "dist",
    emptyOutDir: true,
    chunkSizeWarningLimit: 1500,
    rollupOptions: { input: ["index.html", "camera.html"] },
  },
  server: {
    // `npm run dev` beside a running `mapcast serve`.
    proxy: {
      "/v1": { target: "http://127.0.0.1:8430", ws: true },
      "/ws": { target: "http://127.0.0.1:8430", ws: true },
    },
  },
});

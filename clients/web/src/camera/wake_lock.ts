// SPDX-License-Identifier: Apache-2.0
/** Keeps the screen on. Browsers take the lock back when the page is hidden; it is asked anew. */

export class WakeLock {
  #wanted = false;
  #sentinel: WakeLockSentinel | null = null;

  constructor() {
    document.addEventListener("visibilitychange", () => {
      if (this.#wanted && document.visibilityState === "visible") void this.#ask();
    });
  }

  hold(): void {
    this.#wanted = true;
    void this.#ask();
  }

  release(): void {
    this.#wanted = false;
    void this.#sentinel?.release();
    this.#sentinel = null;
  }

  async #ask(): Promise<void> {
    if (!("wakeLock" in navigator)) return;
    try {
      const sentinel = await navigator.wakeLock.request("screen");
      if (this.#wanted) this.#sentinel = sentinel;
      else await sentinel.release();
    } catch (error) {
      console.debug("mapcast: the screen may go dark:", error); // low battery, or not visible
    }
  }
}

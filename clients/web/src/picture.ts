// SPDX-License-Identifier: Apache-2.0
/** The newest frame as the camera took it, in a corner; asked for only while it is looked at. */
import { HttpError, get } from "./api";
import { element, put } from "./page";
import { sessionPath } from "./sessions";

const PERIOD_MS = 200;
/** While there is none, or the server does not answer. */
const PATIENT_PERIOD_MS = 1000;

export class Picture {
  readonly #figure = element("picture");
  readonly #canvas = this.#figure.querySelector("canvas")!;
  readonly #caption = this.#figure.querySelector("figcaption")!;
  readonly #session: () => string | null;
  #isRunning = false;

  constructor(session: () => string | null) {
    this.#session = session;
    document.addEventListener("visibilitychange", () => void this.#run());
  }

  get isShown(): boolean {
    return !this.#figure.hidden;
  }

  show(isShown: boolean): void {
    this.#figure.hidden = !isShown;
    void this.#run();
  }

  get #isLookedAt(): boolean {
    return this.isShown && document.visibilityState === "visible";
  }

  async #run(): Promise<void> {
    if (this.#isRunning) return;
    this.#isRunning = true;
    while (this.#isLookedAt) {
      const startMs = performance.now();
      const periodMs = (await this.#refresh()) ? PERIOD_MS : PATIENT_PERIOD_MS;
      const waitMs = Math.max(0, startMs + periodMs - performance.now());
      await new Promise((resolve) => window.setTimeout(resolve, waitMs));
    }
    this.#isRunning = false;
  }

  /** Return whether there is a picture. */
  async #refresh(): Promise<boolean> {
    const session = this.#session();
    if (session === null) return false;
    try {
      const answer = await get(`${sessionPath(session)}/frame.jpg`);
      this.#draw(await createImageBitmap(await answer.blob()));
      return true;
    } catch (error) {
      const isNone = error instanceof HttpError && error.status === 404;
      put(this.#caption, isNone ? "No picture yet" : "The picture does not come through");
      this.#caption.hidden = false;
      return false;
    }
  }

  #draw(bitmap: ImageBitmap): void {
    if (this.#canvas.width !== bitmap.width || this.#canvas.height !== bitmap.height) {
      this.#canvas.width = bitmap.width;
      this.#canvas.height = bitmap.height;
    }
    this.#canvas.getContext("2d")?.drawImage(bitmap, 0, 0);
    bitmap.close();
    this.#caption.hidden = true;
  }
}

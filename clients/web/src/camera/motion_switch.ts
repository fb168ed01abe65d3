// SPDX-License-Identifier: Apache-2.0
/** The switch for the motion sensors, and whether samples flow. */
import { Motion, type MotionSample, askForMotion, hasMotion } from "./motion";
import { Rate } from "../rate";

export class MotionSwitch {
  readonly #input: HTMLInputElement;
  readonly #send: (sample: MotionSample) => boolean;
  readonly #rate = new Rate();
  #motion: Motion | null = null;
  #isRunning = false;
  #isRefused = false;

  /** `send` tells whether the sample is on its way. */
  constructor(input: HTMLInputElement, send: (sample: MotionSample) => boolean) {
    this.#input = input;
    this.#send = send;
    if (!hasMotion()) input.checked = false;
    input.disabled = !hasMotion();
    input.addEventListener("change", () => void this.#switched());
  }

  get sent(): number {
    return this.#motion?.sent ?? 0;
  }

  /** Ask for permission, within a click. */
  async ask(): Promise<void> {
    if (this.#input.checked) this.#isRefused = !(await askForMotion());
  }

  start(): void {
    this.#isRunning = true;
    this.#listen();
  }

  stop(): void {
    this.#isRunning = false;
    this.#listen();
  }

  /** Whether samples flow, for the figures beside the picture. */
  words(nowMs: number): string {
    if (!this.#input.checked) return "off";
    if (this.#isRefused) return "refused";
    const hz = this.#rate.perS(nowMs);
    return hz === 0 ? "none" : `${Math.round(hz)}/s`;
  }

  async #switched(): Promise<void> {
    await this.ask();
    this.#listen();
  }

  #listen(): void {
    const wanted = this.#isRunning && this.#input.checked && !this.#isRefused;
    if (wanted && this.#motion === null) this.#motion = new Motion((sample) => this.#pass(sample));
    if (wanted || this.#motion === null) return;
    this.#motion.stop();
    this.#motion = null;
  }

  #pass(sample: MotionSample): boolean {
    const sent = this.#send(sample);
    if (sent) this.#rate.add(1, performance.now());
    return sent;
  }
}

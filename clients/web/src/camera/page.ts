// SPDX-License-Identifier: Apache-2.0
/** The camera page's elements: it shows what it is told, and tells what was chosen. */
import { element, put } from "../page";
import type { PublishStatus } from "./control";
import { type CameraChoice, REAR, SIZES } from "./devices";
import type { Problem, Remedy } from "./problems";
import type { PictureSize } from "./sdp";
import { type Target, mapAddress } from "./target";
import { unbroken } from "./unbroken";
import type { Words } from "./words";

/** The style sheet lays the page out by it. */
export type Phase = "idle" | "starting" | "live" | "stopped";

const START_WORDS: Record<Phase, string> = {
  idle: "Start",
  starting: "Cancel",
  live: "Stop",
  stopped: "Go on",
};
/** What the big button says instead while a problem is shown. */
const REMEDY_WORDS: Partial<Record<Remedy, string>> = {
  retry: "Try again",
  "new session": "New session",
};

export class Page {
  readonly video = element<HTMLVideoElement>("video");
  readonly start = element<HTMLButtonElement>("start");
  readonly startOver = element<HTMLButtonElement>("start-over");
  readonly motion = element<HTMLInputElement>("motion");
  readonly #camera = element<HTMLSelectElement>("camera");
  readonly #size = element<HTMLSelectElement>("size");
  readonly #place = element("problem");
  #phase: Phase = "idle";
  #problem: Problem | null = null;

  constructor() {
    this.#size.append(...SIZES.map((size, i) => new Option(sizeLabel(size), String(i))));
  }

  get camera(): string {
    return this.#camera.value || REAR;
  }

  get size(): PictureSize {
    return SIZES[Number(this.#size.value)] ?? SIZES[0]!;
  }

  get phase(): Phase {
    return this.#phase;
  }

  showPhase(phase: Phase): void {
    this.#phase = phase;
    document.body.dataset["phase"] = phase;
    this.#nameStart();
    element("figures").hidden = phase !== "live";
  }

  /** Keep the choice that was made where it is still there. */
  showCameras(choices: readonly CameraChoice[]): void {
    const chosen = this.#camera.value;
    this.#camera.replaceChildren(...choices.map(({ value, label }) => new Option(label, value)));
    if (choices.some(({ value }) => value === chosen)) this.#camera.value = chosen;
  }

  showWelcome(title: string, note: string): void {
    put(element("welcome"), title);
    put(element("welcome-note"), note);
  }

  showWords(words: Words | null): void {
    const place = element("words");
    place.hidden = words === null;
    if (words === null) return;
    place.dataset["tone"] = words.tone;
    const symbol = place.querySelector("use");
    if (symbol?.getAttribute("href") !== `#icon-${words.icon}`) {
      symbol?.setAttribute("href", `#icon-${words.icon}`);
    }
    put(element("words-text"), words.text);
  }

  showFigures(status: PublishStatus | null, motion: string): void {
    put(element("fps"), status ? status.fps.toFixed(0) : "–");
    put(element("mapped"), status ? status.fused.toLocaleString("en") : "–");
    put(element("delay"), status ? `${Math.round(status.latency_ms)} ms` : "–");
    put(element("motion-rate"), motion);
  }

  get problem(): Problem | null {
    return this.#problem;
  }

  showProblem(problem: Problem | null): void {
    if (problem === this.#problem) return;
    this.#problem = problem;
    this.#place.hidden = problem === null;
    this.#nameStart();
    if (problem === null) return;
    const part = (selector: string): HTMLElement =>
      this.#place.querySelector<HTMLElement>(selector)!;
    put(part("h2 span"), problem.title);
    put(part(".advice"), problem.advice);
    part(".command").hidden = problem.command === undefined;
    part(".command code").replaceChildren(...unbroken(problem.command ?? ""));
    put(part(".detail"), problem.detail ?? "");
    part(".detail").hidden = problem.detail === undefined;
  }

  showTarget(target: Target, name: string): void {
    put(element("session-name"), name || target.session);
    const link = element<HTMLAnchorElement>("whole-map");
    link.href = mapAddress(target, false);
    link.hidden = false;
    this.#showMap(mapAddress(target, true));
  }

  /** Ask before the map is thrown away. */
  async confirmStartOver(): Promise<boolean> {
    const dialog = element<HTMLDialogElement>("confirm");
    dialog.returnValue = "";
    dialog.showModal();
    await new Promise((resolve) => dialog.addEventListener("close", resolve, { once: true }));
    return dialog.returnValue === "yes";
  }

  #nameStart(): void {
    const remedy = this.#phase === "live" ? undefined : this.#problem?.remedy;
    put(this.start, REMEDY_WORDS[remedy ?? "none"] ?? START_WORDS[this.#phase]);
    this.start.disabled = remedy === "none";
    const isEnded = remedy === "new session";
    this.startOver.hidden = isEnded || (this.#phase !== "live" && this.#phase !== "stopped");
  }

  #showMap(address: string): void {
    const place = element("map");
    const shown = place.querySelector("iframe");
    if (shown?.getAttribute("src") === address) return;
    const frame = document.createElement("iframe");
    frame.title = "Live map";
    frame.src = address;
    shown?.remove();
    element("map-empty").hidden = true;
    place.append(frame);
  }
}

const sizeLabel = ({ widthPx, heightPx }: PictureSize): string => `${widthPx} × ${heightPx}`;

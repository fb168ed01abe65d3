// SPDX-License-Identifier: Apache-2.0
/** The camera page: one button, and what follows from it. */
import { Broadcast, type BroadcastState } from "./broadcast";
import "./camera.css";
import { Capture } from "./capture";
import type { ClockOffset } from "../clock";
import type { PublishStatus } from "./control";
import { choicesOf, isSecure } from "./devices";
import type { MotionSample } from "./motion";
import { MotionSwitch } from "./motion_switch";
import { Page } from "./page";
import "./picture.css";
import {
  type Problem, cameraProblem, endedProblem, insecureProblem, serverProblem,
  turnedProblem,
} from "./problems";
import { SocketPublisher } from "./socket";
import { Destination, type Reached, addressOf } from "./target";
import { WhipPublisher } from "./whip";
import { CONNECTING, STARTING, Steady, WAITING, retryWords, statusWords } from "./words";

const FIGURES_PERIOD_MS = 250;
const WORDS_HOLD_MS = 1200;
const PUBLISHERS = { webrtc: WhipPublisher, websocket: SocketPublisher };

/** What tests and the curious may ask the page. */
interface Inspection {
  state(): string;
  transport(): string | null;
  session(): string | null;
  status(): PublishStatus | null;
  offset(): ClockOffset | null;
  motionSamples(): number;
}

declare global {
  interface Window {
    mapcastCamera?: Inspection;
  }
}

class CameraPage {
  readonly #page = new Page();
  readonly #capture = new Capture(this.#page.video);
  readonly #motion = new MotionSwitch(this.#page.motion, (sample) => this.#sendMotion(sample));
  readonly #destination = new Destination(location, document.baseURI);
  readonly #words = new Steady(WORDS_HOLD_MS);
  #reached: Reached | null = null;
  #broadcast: Broadcast | null = null;
  #status: PublishStatus | null = null;
  /** Counts the presses of the button: what a cancelled start still brings is thrown away. */
  #attempt = 0;

  constructor() {
    this.#page.start.addEventListener("click", () => this.#press());
    this.#page.startOver.addEventListener("click", () => void this.#startOver());
    this.#capture.ended = () => this.#fail(endedProblem());
    this.#capture.turned = (wanted) =>
      this.#page.showProblem(wanted === null ? null : turnedProblem(wanted));
    window.addEventListener("pagehide", () => this.#stop());
    window.addEventListener("online", () => this.#broadcast?.retryNow());
    window.setInterval(
      () => this.#page.showFigures(this.#status, this.#motion.words(performance.now())),
      FIGURES_PERIOD_MS,
    );
    window.mapcastCamera = this.#inspection();
    this.#page.showCameras(choicesOf([]));
    if (isSecure()) this.#listCameras();
    else this.#page.showProblem(insecureProblem(location));
  }

  #press(): void {
    if (["starting", "live"].includes(this.#page.phase)) {
      this.#stop();
      return;
    }
    if (this.#page.problem?.remedy === "new session") {
      this.#destination.forget();
      this.#status = null;
    }
    void this.#start();
  }

  /** Begins within the click: iOS gives sensors and camera to nothing else. */
  async #start(): Promise<void> {
    const attempt = ++this.#attempt;
    const asked = this.#motion.ask();
    this.#page.showProblem(null);
    this.#page.showPhase("starting");
    this.#page.showWords(STARTING);
    const opening = this.#capture.open(this.#page.camera, this.#page.size);
    const stream = await this.#orFail(attempt, opening, cameraProblem);
    if (stream === null || attempt !== this.#attempt) return;
    this.#listCameras(); // they have names now
    this.#page.showWords(CONNECTING);
    const reached = await this.#orFail(attempt, this.#destination.reach(), serverProblem);
    await asked;
    if (reached === null || attempt !== this.#attempt) return;
    this.#arrive(reached);
    this.#publish(stream, reached);
  }

  /** What the work brings, or null after the reason for its failure was shown. */
  async #orFail<T>(
    attempt: number,
    work: Promise<T>,
    problemOf: (error: unknown) => Problem,
  ): Promise<T | null> {
    try {
      return await work;
    } catch (error) {
      if (attempt === this.#attempt) this.#fail(problemOf(error));
      return null;
    }
  }

  #arrive(reached: Reached): void {
    this.#reached = reached;
    this.#page.showTarget(reached.target, reached.name);
    history.replaceState(null, "", addressOf(reached.target)); // a reload goes on with it
  }

  #publish(stream: MediaStream, { info, target }: Reached): void {
    const { server } = this.#destination;
    const assignment = {
      ...target,
      stream,
      base: document.baseURI,
      size: this.#page.size,
      iceServers: info.ice_servers,
    };
    this.#broadcast = new Broadcast(
      {
        publisher: (transport, events) => new PUBLISHERS[transport](assignment, events),
        session: () => server.session(target.session),
      },
      {
        changed: (state) => this.#broadcastChanged(state),
        status: (status) => this.#statusCame(status),
      },
      info.webrtc ? "webrtc" : "websocket",
    );
    void this.#broadcast.start();
  }

  #broadcastChanged(state: BroadcastState): void {
    if (state.kind === "failed") this.#fail(state.problem);
    if (state.kind === "retrying") this.#page.showWords(retryWords(state.why));
    if (state.kind !== "live") return;
    this.#page.showPhase("live");
    this.#page.showWords(WAITING);
    this.#capture.keepShape();
    this.#motion.start();
  }

  #statusCame(status: PublishStatus): void {
    this.#status = status;
    if (this.#broadcast?.state.kind !== "live") return;
    this.#page.showWords(this.#words.show(statusWords(status), performance.now()));
  }

  #sendMotion(sample: MotionSample): boolean {
    return this.#broadcast?.sendMotion(sample) ?? false;
  }

  #stop(): void {
    const wasStarted = this.#reached !== null;
    this.#halt();
    this.#page.showPhase(wasStarted ? "stopped" : "idle");
    if (!wasStarted) return;
    const mapped = this.#status?.fused ?? 0;
    this.#page.showWelcome("Stopped", stoppedNote(mapped));
  }

  #fail(problem: Problem): void {
    this.#stop();
    this.#page.showProblem(problem);
  }

  #halt(): void {
    this.#attempt += 1;
    this.#broadcast?.stop();
    this.#broadcast = null;
    this.#motion.stop();
    this.#capture.close();
    this.#words.clear();
    this.#page.showWords(null);
    this.#page.showProblem(null);
  }

  /** Empty the map. A stream that runs begins anew, with the shape that its picture has now. */
  async #startOver(): Promise<void> {
    if (this.#reached === null || !(await this.#page.confirmStartOver())) return;
    const { stream } = this.#capture;
    const attempt = ++this.#attempt;
    this.#broadcast?.stop();
    const done = this.#destination.server.reset(this.#reached.target.session);
    if ((await this.#orFail(attempt, done, serverProblem)) === null) return;
    this.#status = null;
    this.#words.clear();
    this.#page.showProblem(null);
    if (stream !== null && attempt === this.#attempt) this.#publish(stream, this.#reached);
    else this.#page.showWelcome("The map is empty", "Press the button to begin anew.");
  }

  #listCameras(): void {
    navigator.mediaDevices.ondevicechange = () => this.#listCameras();
    navigator.mediaDevices.enumerateDevices().then(
      (devices) => this.#page.showCameras(choicesOf(devices)),
      (error: unknown) => console.debug("mapcast: no list of cameras:", error),
    );
  }

  #inspection(): Inspection {
    return {
      state: () => this.#broadcast?.state.kind ?? "off",
      transport: () => {
        const state = this.#broadcast?.state;
        return state?.kind === "live" ? state.transport : null;
      },
      session: () => this.#destination.target?.session ?? null,
      status: () => this.#status,
      offset: () => this.#broadcast?.offset ?? null,
      motionSamples: () => this.#motion.sent,
    };
  }
}

function stoppedNote(mapped: number): string {
  if (mapped === 0) return "Nothing is mapped yet: go on, and move sideways past something near.";
  const pictures = mapped === 1 ? "1 picture is" : `${mapped.toLocaleString("en")} pictures are`;
  return (
    `${pictures} in the map. Go on from a place that it knows, or open the map to look at it ` +
    "and download it."
  );
}

new CameraPage();

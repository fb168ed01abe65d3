// SPDX-License-Identifier: Apache-2.0
/** A publisher without WebRTC: JPEG pictures over the WebSocket `/ws/stream`. */
import {
  type Assignment, LinkLost, type Publisher, type PublisherEvents, Unsupported,
} from "./publisher";
import { Refused } from "./server";
import { type StreamAnswer, Tally } from "./tally";

const QUALITY = 0.85;
const FRAME_MS = 1000 / 30;
/** Pictures on their way: enough to hide the way there and back, few enough to stay new. */
const WINDOW_FRAMES = 3;
const OPENING_MS = 10_000;
/** Close codes, as the HTTP status that says the same. */
const STATUS_OF_CLOSE: Record<number, number> = {
  4400: 400,
  4401: 401,
  4403: 403,
  4404: 404,
  1013: 409,
};

export class SocketPublisher implements Publisher {
  readonly transport = "websocket";
  /** The server dates the pictures by their arrival. */
  readonly offset = null;
  readonly #assignment: Assignment;
  readonly #events: PublisherEvents;
  readonly #tally: Tally;
  readonly #video = document.createElement("video");
  readonly #canvas = document.createElement("canvas");
  #socket: WebSocket | null = null;
  #timer: number | undefined;
  #unanswered = 0;
  #isEncoding = false;
  #isOpen = false;
  #reason = "";

  constructor(assignment: Assignment, events: PublisherEvents) {
    this.#assignment = assignment;
    this.#events = events;
    this.#tally = new Tally(assignment.session);
    this.#video.muted = true;
    this.#video.playsInline = true;
    this.#video.srcObject = assignment.stream;
  }

  async open(): Promise<void> {
    await this.#video.play();
    await this.#greeted();
    this.#isOpen = true;
    this.#timer = window.setInterval(() => this.#grab(), FRAME_MS);
  }

  /** Pictures alone go this way. */
  sendMotion(): boolean {
    return false;
  }

  close(): void {
    this.#isOpen = false;
    window.clearInterval(this.#timer);
    this.#video.srcObject = null;
    if (this.#socket === null) return;
    this.#socket.onclose = this.#socket.onmessage = null;
    this.#socket.close();
    this.#socket = null;
  }

  /** Say hello and wait for `opened`. Throws Refused, LinkLost. */
  async #greeted(): Promise<void> {
    const { base, session, token } = this.#assignment;
    const address = new URL("ws/stream", base);
    address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(address);
    socket.binaryType = "arraybuffer";
    this.#socket = socket;
    await new Promise<void>((resolve, reject) => {
      const tooLate = (): void => reject(new LinkLost("the server does not answer"));
      const timer = window.setTimeout(tooLate, OPENING_MS);
      socket.onopen = () =>
        socket.send(JSON.stringify({ type: "hello", session, token: token ?? "" }));
      socket.onmessage = (event: MessageEvent<string>) => {
        const answer = this.#hear(event.data);
        if (answer.type !== "opened") return;
        window.clearTimeout(timer);
        resolve();
      };
      socket.onclose = (event) => {
        window.clearTimeout(timer);
        if (this.#isOpen) this.#lose(event.code);
        else reject(this.#failure(event.code));
      };
    });
  }

  #hear(text: string): StreamAnswer {
    const answer = JSON.parse(text) as StreamAnswer;
    if (answer.type === "progress") this.#unanswered -= 1;
    if (answer.type === "error" && answer.fatal) this.#reason = answer.message;
    const status = this.#tally.take(answer, performance.now());
    if (status !== null) this.#events.status(status);
    return answer;
  }

  #failure(closeCode: number): Error {
    const status = STATUS_OF_CLOSE[closeCode];
    if (status !== undefined) return new Refused(status, this.#reason);
    return new LinkLost(this.#reason || "the server closed the connection");
  }

  /** Encode and send the picture of now, unless enough are on their way. */
  #grab(): void {
    const { videoWidth, videoHeight } = this.#video;
    if (this.#isEncoding || this.#unanswered >= WINDOW_FRAMES || videoWidth === 0) return;
    this.#isEncoding = true;
    this.#canvas.width = videoWidth;
    this.#canvas.height = videoHeight;
    const context = this.#canvas.getContext("2d", { alpha: false });
    if (context === null) throw new Unsupported("no canvas here");
    context.drawImage(this.#video, 0, 0);
    this.#canvas.toBlob((picture) => this.#encoded(picture), "image/jpeg", QUALITY);
  }

  #encoded(picture: Blob | null): void {
    this.#isEncoding = false;
    if (picture === null || this.#socket?.readyState !== WebSocket.OPEN) return;
    this.#unanswered += 1;
    this.#socket.send(picture);
  }

  #lose(closeCode: number): void {
    const { message } = this.#failure(closeCode);
    this.close();
    this.#events.lost(message);
  }
}

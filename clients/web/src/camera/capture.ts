// SPDX-License-Identifier: Apache-2.0
/** The open camera: its stream, the shape of its picture, and the screen that must stay on. */
import { openCamera } from "./devices";
import type { PictureSize } from "./sdp";
import { WakeLock } from "./wake_lock";

export type Shape = "upright" | "sideways";

export const shapeOf = (widthPx: number, heightPx: number): Shape =>
  heightPx > widthPx ? "upright" : "sideways";

export class Capture {
  /** Called when the camera ends by itself: unplugged, or taken away by the system. */
  ended: () => void = () => {};
  /** Called when the picture's shape is, or again is, the one the stream began with. */
  turned: (wanted: Shape | null) => void = () => {};
  readonly #video: HTMLVideoElement;
  readonly #wakeLock = new WakeLock();
  #stream: MediaStream | null = null;
  #shape: Shape | null = null;
  #openings = 0;

  constructor(video: HTMLVideoElement) {
    this.#video = video;
    video.addEventListener("resize", () => this.#judge());
  }

  get stream(): MediaStream | null {
    return this.#stream;
  }

  /** Null when `close` was called meanwhile. Throws what `getUserMedia` throws. */
  async open(camera: string, size: PictureSize): Promise<MediaStream | null> {
    this.close();
    const opening = ++this.#openings;
    const stream = await openCamera(camera, size);
    if (opening !== this.#openings) {
      stopTracks(stream);
      return null;
    }
    this.#stream = stream;
    for (const track of stream.getVideoTracks()) {
      track.addEventListener("ended", () => {
        if (this.#stream === stream) this.ended();
      });
    }
    this.#video.srcObject = stream;
    // A front camera is a mirror to who looks at it; what is sent is not mirrored.
    const facing = stream.getVideoTracks().at(0)?.getSettings().facingMode;
    this.#video.dataset["mirrored"] = String(facing === "user");
    this.#wakeLock.hold();
    return stream;
  }

  /** From now on the picture shall keep the shape that it has. */
  keepShape(): void {
    this.#shape = this.#video.videoWidth > 0 ? this.#present : null;
  }

  close(): void {
    this.#openings += 1;
    if (this.#stream !== null) stopTracks(this.#stream);
    this.#stream = null;
    this.#shape = null;
    this.#video.srcObject = null;
    this.#wakeLock.release();
  }

  get #present(): Shape {
    return shapeOf(this.#video.videoWidth, this.#video.videoHeight);
  }

  #judge(): void {
    if (this.#stream === null || this.#video.videoWidth === 0) return;
    if (this.#shape !== null) this.turned(this.#present === this.#shape ? null : this.#shape);
  }
}

function stopTracks(stream: MediaStream): void {
  for (const track of stream.getTracks()) track.stop();
}

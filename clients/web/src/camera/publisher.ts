// SPDX-License-Identifier: Apache-2.0
/** What a way to send the camera's picture must do. `whip.ts` and `socket.ts` are the two. */
import type { ClockOffset } from "../clock";
import type { PublishStatus } from "./control";
import type { MotionSample } from "./motion";
import type { PictureSize } from "./sdp";

export type Transport = "webrtc" | "websocket";

/** One attempt to send: a camera, and the session that takes it. */
export interface Assignment {
  readonly base: string;
  readonly session: string;
  readonly token: string | null;
  readonly stream: MediaStream;
  /** What was asked of the camera; portrait phones turn it. */
  readonly size: PictureSize;
  readonly iceServers: readonly RTCIceServer[];
}

/** What a publisher tells while it sends. */
export interface PublisherEvents {
  status(status: PublishStatus): void;
  /** The link broke, after `open` had succeeded. Told once. */
  lost(why: string): void;
}

export interface Publisher {
  readonly transport: Transport;
  /** The server's clock against the page's; null until, or where, it is not known. */
  readonly offset: ClockOffset | null;
  /**
   * Resolves once the server takes the picture. Throws Refused when the server says no,
   * Unsupported when this way cannot work here, LinkLost when the network is at fault.
   */
  open(): Promise<void>;
  /** Whether the sample is on its way. */
  sendMotion(sample: MotionSample): boolean;
  /** End it and say so to the server, also while the page is being left. Does not throw. */
  close(): void;
}

/** This way of sending does not work in this browser, on this server or in this network. */
export class Unsupported extends Error {}

/** The network, or the server, went away. */
export class LinkLost extends Error {}

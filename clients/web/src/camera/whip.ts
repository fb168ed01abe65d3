// SPDX-License-Identifier: Apache-2.0
/** A publisher over WebRTC, negotiated by WHIP (RFC 9725), with data channels for the rest. */
import { type ClockOffset, pageTimeMs } from "../clock";
import { sessionPath } from "../sessions";
import { Control } from "./control";
import { type MotionSample, packed } from "./motion";
import {
  type Assignment, LinkLost, type Publisher, type PublisherEvents, Unsupported,
} from "./publisher";
import { bitrateBps, preferredCodecs, resourceUrl } from "./sdp";
import { Refused, ask, authorization } from "./server";

const FRAME_RATE_HZ = 30;
/** Host candidates are there at once; a silent STUN server must not hold the offer up. */
const GATHERING_MS = 2000;
const CONNECTING_MS = 12_000;
/** ICE often finds back by itself after a short gap. */
const DISCONNECTED_MS = 4000;
/** More waiting samples than this would be old news. */
const MOTION_BUFFER_BYTES = 16 << 10;
/** Answers that say: not by WebRTC, or not with these codecs. */
const CANNOT = [405, 406, 415, 422, 501];

export class WhipPublisher implements Publisher {
  readonly transport = "webrtc";
  readonly #assignment: Assignment;
  readonly #events: PublisherEvents;
  readonly #connection: RTCPeerConnection;
  readonly #motion: RTCDataChannel;
  readonly #control: Control;
  #resource: string | null = null;
  #isOpen = false;
  #graceTimer: number | undefined;

  /** Throws Unsupported when the browser has no WebRTC. */
  constructor(assignment: Assignment, events: PublisherEvents) {
    if (typeof RTCPeerConnection === "undefined") throw new Unsupported("no WebRTC here");
    this.#assignment = assignment;
    this.#events = events;
    this.#connection = new RTCPeerConnection({
      iceServers: [...assignment.iceServers],
      bundlePolicy: "max-bundle",
    });
    this.#motion = this.#connection.createDataChannel("imu", {
      ordered: false,
      maxRetransmits: 0,
    });
    const status = this.#connection.createDataChannel("status");
    this.#control = new Control((message) => {
      if (status.readyState === "open") status.send(message);
    }, pageTimeMs);
    this.#control.statusChanged = (report) => events.status(report);
    status.onopen = () => this.#control.start();
    status.onmessage = (event: MessageEvent<string>) => this.#control.receive(event.data);
    status.onclose = () => this.#lose("the server ended the stream");
  }

  get offset(): ClockOffset | null {
    return this.#control.offset;
  }

  async open(): Promise<void> {
    await this.#addCamera();
    await this.#connection.setLocalDescription();
    await this.#gathered();
    const answer = await this.#offer();
    await this.#connection.setRemoteDescription({ type: "answer", sdp: answer });
    await this.#connected();
    this.#isOpen = true;
    this.#connection.onconnectionstatechange = () => this.#watch();
    this.#watch();
  }

  sendMotion(sample: MotionSample): boolean {
    const channel = this.#motion;
    if (channel.readyState !== "open") return false;
    if (channel.bufferedAmount > MOTION_BUFFER_BYTES) return false;
    channel.send(packed(sample));
    return true;
  }

  close(): void {
    this.#isOpen = false;
    window.clearTimeout(this.#graceTimer);
    this.#control.stop();
    this.#connection.close();
    if (this.#resource === null) return;
    const init = { method: "DELETE", keepalive: true };
    fetch(this.#resource, { ...init, headers: authorization(this.#assignment.token) }).catch(
      (error: unknown) => console.debug("mapcast: the server did not hear the goodbye:", error),
    );
    this.#resource = null;
  }

  async #addCamera(): Promise<void> {
    const { stream, size } = this.#assignment;
    const [track] = stream.getVideoTracks();
    if (track === undefined) throw new LinkLost("the camera has no picture");
    // "detail" would make Chromium treat the camera as a shared screen, at a few frames a second.
    track.contentHint = "motion";
    const transceiver = this.#connection.addTransceiver(track, {
      direction: "sendonly",
      streams: [stream],
      sendEncodings: [{ maxBitrate: bitrateBps(size), maxFramerate: FRAME_RATE_HZ }],
    });
    const codecs = RTCRtpSender.getCapabilities("video")?.codecs ?? [];
    transceiver.setCodecPreferences(preferredCodecs(codecs));
    // A camera that changes its picture's size mid-stream is another camera to the tracker.
    const parameters = transceiver.sender.getParameters();
    parameters.degradationPreference = "maintain-resolution";
    await transceiver.sender.setParameters(parameters).catch((error: unknown) => {
      console.warn("mapcast: the browser may shrink the picture:", error);
    });
  }

  async #gathered(): Promise<void> {
    const connection = this.#connection;
    if (connection.iceGatheringState === "complete") return;
    await new Promise<void>((resolve) => {
      const timer = window.setTimeout(resolve, GATHERING_MS);
      connection.onicegatheringstatechange = () => {
        if (connection.iceGatheringState !== "complete") return;
        window.clearTimeout(timer);
        resolve();
      };
    });
  }

  /** Post the offer; returns the answer. Throws Refused, Unsupported, LinkLost. */
  async #offer(): Promise<string> {
    const { base, session, token } = this.#assignment;
    const endpoint = new URL(`${sessionPath(session)}/whip`, base).href;
    const headers = { "Content-Type": "application/sdp", Accept: "application/sdp" };
    const body = this.#connection.localDescription?.sdp ?? "";
    try {
      const answer = await ask(endpoint, token, { method: "POST", headers, body });
      this.#resource = resourceUrl(endpoint, answer.headers.get("Location"));
      return await answer.text();
    } catch (error) {
      if (error instanceof Refused) {
        throw CANNOT.includes(error.status) ? new Unsupported(error.reason) : error;
      }
      console.debug("mapcast: no answer to the offer:", error);
      throw new LinkLost("the server does not answer");
    }
  }

  async #connected(): Promise<void> {
    const connection = this.#connection;
    await new Promise<void>((resolve, reject) => {
      const fail = (): void => reject(new Unsupported("no way through this network for WebRTC"));
      const timer = window.setTimeout(fail, CONNECTING_MS);
      const look = (): void => {
        const state = connection.connectionState;
        if (state !== "connected" && state !== "failed" && state !== "closed") return;
        window.clearTimeout(timer);
        if (state === "connected") resolve();
        else fail();
      };
      connection.onconnectionstatechange = look;
      look();
    });
  }

  #watch(): void {
    window.clearTimeout(this.#graceTimer);
    const state = this.#connection.connectionState;
    if (state === "failed" || state === "closed") this.#lose("the network dropped");
    if (state !== "disconnected") return;
    this.#graceTimer = window.setTimeout(() => this.#lose("the network dropped"), DISCONNECTED_MS);
  }

  #lose(why: string): void {
    if (!this.#isOpen) return;
    this.close();
    this.#events.lost(why);
  }
}

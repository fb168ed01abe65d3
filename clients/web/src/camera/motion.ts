// SPDX-License-Identifier: Apache-2.0
/**
 * The device's accelerometer and gyroscope, in the units and signs of an IMU.
 *
 * W3C "Device Orientation and Motion": acceleration in m/s², rotation in degrees per second about
 * the device's x (right), y (up) and z (out of the screen): alpha, beta, gamma in this order.
 */

const RAD_PER_DEG = Math.PI / 180;

/** One moment. `tMs` on the page's clock (`pageTimeMs`). */
export interface MotionSample {
  readonly tMs: number;
  /** Specific force, gravity included, m/s²: a device that lies on its back reads +9.8 in z. */
  readonly accelerationMps2: readonly [number, number, number];
  readonly rotationRadps: readonly [number, number, number];
}

/** What is read of a DeviceMotionEvent. */
export type MotionEvent = Pick<
  DeviceMotionEvent,
  "accelerationIncludingGravity" | "rotationRate" | "timeStamp"
>;

/**
 * The event as a sample; null when the device lacks a sensor (a laptop fires events of nulls).
 * `gravitySign`: −1 for iOS, whose gravity points the other way than the standard says.
 */
export function sampleOf(
  event: MotionEvent,
  timeOriginMs: number,
  gravitySign: 1 | -1,
): MotionSample | null {
  const force = event.accelerationIncludingGravity;
  const turn = event.rotationRate;
  if (force?.x == null || force.y == null || force.z == null) return null;
  if (turn?.alpha == null || turn.beta == null || turn.gamma == null) return null;
  return {
    tMs: timeOriginMs + event.timeStamp,
    accelerationMps2: [gravitySign * force.x, gravitySign * force.y, gravitySign * force.z],
    rotationRadps: [turn.alpha * RAD_PER_DEG, turn.beta * RAD_PER_DEG, turn.gamma * RAD_PER_DEG],
  };
}

/** The wire's row: t_ms, ax, ay, az, gx, gy, gz as little-endian float64. */
export function packed(sample: MotionSample): ArrayBuffer {
  const row = [sample.tMs, ...sample.accelerationMps2, ...sample.rotationRadps];
  const view = new DataView(new ArrayBuffer(8 * row.length));
  row.forEach((value, i) => view.setFloat64(8 * i, value, true));
  return view.buffer;
}

/** iOS alone asks, and alone has a style for long touches. */
interface AskingMotionEvent {
  requestPermission?: () => Promise<PermissionState>;
}

const isIos = (): boolean => CSS.supports("-webkit-touch-callout", "none");

/** Whether the browser knows of motion at all; a secure page is needed. */
export const hasMotion = (): boolean => typeof DeviceMotionEvent !== "undefined";

/** Ask for the sensors. iOS wants this within a click; others grant it silently. */
export async function askForMotion(): Promise<boolean> {
  if (!hasMotion()) return false;
  const { requestPermission } = DeviceMotionEvent as unknown as AskingMotionEvent;
  if (requestPermission === undefined) return true;
  try {
    return (await requestPermission.call(DeviceMotionEvent)) === "granted";
  } catch (error) {
    console.warn("mapcast: no device motion:", error);
    return false;
  }
}

/** Follows the sensors until `stop`, and counts what could be sent. */
export class Motion {
  readonly #send: (sample: MotionSample) => boolean;
  readonly #gravitySign: 1 | -1 = isIos() ? -1 : 1;
  #sent = 0;
  readonly #listen = (event: DeviceMotionEvent): void => {
    const sample = sampleOf(event, performance.timeOrigin, this.#gravitySign);
    if (sample !== null && this.#send(sample)) this.#sent += 1;
  };

  /** `send` tells whether the sample is on its way. */
  constructor(send: (sample: MotionSample) => boolean) {
    this.#send = send;
    window.addEventListener("devicemotion", this.#listen);
  }

  get sent(): number {
    return this.#sent;
  }

  stop(): void {
    window.removeEventListener("devicemotion", this.#listen);
  }
}

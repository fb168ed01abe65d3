// SPDX-License-Identifier: Apache-2.0
/** The device's cameras: which there are, and opening one. */
import type { PictureSize } from "./sdp";

const FRAME_RATE_HZ = 30;

/** What the picker's values mean: a way the camera looks, or a device by its id. */
export const REAR = "environment";
export const FRONT = "user";

export interface CameraChoice {
  readonly value: string;
  readonly label: string;
}

/** `1280x720`; the first is the default. */
export const SIZES: readonly PictureSize[] = [
  { widthPx: 640, heightPx: 480 },
  { widthPx: 1280, heightPx: 720 },
  { widthPx: 320, heightPx: 240 },
];

/** What to ask `getUserMedia` for. A device is exact, a direction is a wish: laptops have none. */
export function constraintsOf(camera: string, size: PictureSize): MediaStreamConstraints {
  const which: MediaTrackConstraints =
    camera === REAR || camera === FRONT
      ? { facingMode: { ideal: camera } }
      : { deviceId: { exact: camera } };
  return {
    audio: false,
    video: {
      ...which,
      width: { ideal: size.widthPx },
      height: { ideal: size.heightPx },
      frameRate: { ideal: FRAME_RATE_HZ },
    },
  };
}

/**
 * The picker's choices. Before permission was given browsers hide names and ids; then there are
 * only the two ways to look.
 */
export function choicesOf(devices: readonly MediaDeviceInfo[]): CameraChoice[] {
  const cameras = devices.filter(({ kind, deviceId }) => kind === "videoinput" && deviceId !== "");
  const directions = [
    { value: REAR, label: "Rear camera" },
    { value: FRONT, label: "Front camera" },
  ];
  if (cameras.length === 0) return directions;
  const named = cameras.map(({ deviceId, label }, i) => ({
    value: deviceId,
    label: label.replace(/\s*\([0-9a-f]{4}:[0-9a-f]{4}\)$/, "") || `Camera ${i + 1}`,
  }));
  return cameras.length === 1 ? named : [...directions.slice(0, 1), ...named];
}

/** Throws DOMException as `getUserMedia` does; `problems.ts` has words for each. */
export function openCamera(camera: string, size: PictureSize): Promise<MediaStream> {
  return navigator.mediaDevices.getUserMedia(constraintsOf(camera, size));
}

export const isSecure = (): boolean => window.isSecureContext && "mediaDevices" in navigator;

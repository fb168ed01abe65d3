// SPDX-License-Identifier: Apache-2.0
/** The server's list of sessions, and which of them to show. */
import { get } from "./api";
import type { Units } from "./protocol";

/** The fields of SessionInfo (maps.proto) that the pages need; 64-bit integers are strings. */
export interface SessionInfo {
  readonly session: string;
  readonly name: string;
  readonly state: string;
  readonly reason?: string;
  readonly created_ns: string;
  readonly frames: string;
  readonly units?: Units;
  /** Where the scale is from: sensor, given, imu, network, declared or none. */
  readonly scale_source?: string;
  /** The camera's calibration is a guess from the picture's size. */
  readonly camera_guessed?: boolean;
}

const LIVE_STATES = new Set(["active", "waiting", "paused"]);

export const isLive = (info: SessionInfo): boolean => LIVE_STATES.has(info.state);

export const sessionPath = (session: string): string =>
  `v1/sessions/${encodeURIComponent(session)}`;

/** Ask the server. Throws HttpError, or TypeError when it cannot be reached. */
export async function listSessions(): Promise<SessionInfo[]> {
  const body = (await (await get("v1/sessions")).json()) as { sessions?: SessionInfo[] };
  return (body.sessions ?? []).sort(newestLiveFirst);
}

/** One session: a watcher's token does not open the list. Throws as `listSessions`. */
export async function getSession(session: string): Promise<SessionInfo> {
  return (await (await get(sessionPath(session))).json()) as SessionInfo;
}

export function newestLiveFirst(a: SessionInfo, b: SessionInfo): number {
  if (isLive(a) !== isLive(b)) return isLive(a) ? -1 : 1;
  const [aNs, bNs] = [BigInt(a.created_ns), BigInt(b.created_ns)];
  return aNs === bNs ? 0 : aNs > bNs ? -1 : 1;
}

/** What a person reads in the picker. */
export function label(info: SessionInfo): string {
  const name = info.name || info.session;
  return isLive(info) ? name : `${name} (${info.state})`;
}

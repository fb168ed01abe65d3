// SPDX-License-Identifier: Apache-2.0
/** The server's list of sessions, and which of them to show. */

/** The fields of SessionInfo (maps.proto) that the viewer needs. */
export interface SessionInfo {
  readonly session: string;
  readonly name: string;
  readonly state: string;
  readonly created_ns: string | number;
}

const LIVE_STATES = new Set(["active", "waiting", "paused"]);

export const isLive = (info: SessionInfo): boolean => LIVE_STATES.has(info.state);

/** Ask the server. Throws when it cannot be reached or answers with an error. */
export async function listSessions(): Promise<SessionInfo[]> {
  const answer = await fetch("v1/sessions", {
    headers: { Accept: "application/json" },
    signal: AbortSignal.timeout(5000),
  });
  if (!answer.ok) throw new Error(`/v1/sessions: HTTP ${answer.status}`);
  const body = (await answer.json()) as { sessions?: SessionInfo[] };
  return (body.sessions ?? []).sort(newestLiveFirst);
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

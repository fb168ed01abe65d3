// SPDX-License-Identifier: Apache-2.0
/** What the camera page asks the server for, and the reasons that it gives when it refuses. */
import { type SessionInfo, sessionPath } from "../sessions";

/** A busy server takes its time to start a session's worker. */
const TIMEOUT_MS = 20_000;

/** `GET /v1/server`, as far as a camera needs it. */
export interface ServerInfo {
  readonly version: string;
  readonly access: "open" | "closed";
  readonly webrtc: boolean;
  readonly public_urls: readonly string[];
  readonly ice_servers: readonly RTCIceServer[];
}

/** `POST /v1/sessions`. The tokens are empty where the server is open. */
export interface CreatedSession {
  readonly session: string;
  readonly publish_token: string;
  readonly watch_token: string;
  readonly viewer_path: string;
  readonly camera_path: string;
}

/** The server answered, and the answer is no. */
export class Refused extends Error {
  constructor(
    readonly status: number,
    readonly reason: string,
  ) {
    super(`HTTP ${status}: ${reason}`);
  }
}

/** The server's own words in an error's body: JSON's `error` or `detail`, or plain text. */
export function reasonOf(body: string): string {
  try {
    const parsed = JSON.parse(body) as { error?: unknown; detail?: unknown };
    const words = parsed.error ?? parsed.detail;
    if (typeof words === "string") return words;
  } catch {
    // not JSON: plain text, or a proxy's page
  }
  return body.trimStart().startsWith("<") ? "" : body.trim().slice(0, 300);
}

export function authorization(token: string | null): Record<string, string> {
  return token === null ? {} : { Authorization: `Bearer ${token}` };
}

type Init = RequestInit & { headers?: Record<string, string> };

/** Throws Refused when the server says no, TypeError or DOMException when it cannot be reached. */
export async function ask(
  url: URL | string,
  token: string | null,
  init: Init = {},
): Promise<Response> {
  const headers = { Accept: "application/json", ...authorization(token), ...init.headers };
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  const answer = await fetch(url, { cache: "no-store", signal, ...init, headers });
  if (!answer.ok) throw new Refused(answer.status, reasonOf(await answer.text()));
  return answer;
}

/** One server, spoken to with one token. */
export class Server {
  constructor(
    readonly base: string,
    readonly token: string | null,
  ) {}

  /** What this server is and can do; no token is needed. */
  async info(): Promise<ServerInfo> {
    return (await this.#json("v1/server")) as ServerInfo;
  }

  async session(id: string): Promise<SessionInfo> {
    return (await this.#json(sessionPath(id))) as SessionInfo;
  }

  /** A session for a camera without depth; its name tells what streams, and since when. */
  async createSession(what: string): Promise<CreatedSession> {
    const time = new Date().toTimeString().slice(0, 5);
    const wish = JSON.stringify({ name: `${what} ${time}`, sensor: "mono", policy: "live" });
    const headers = { "Content-Type": "application/json" };
    const init = { method: "POST", headers, body: wish };
    return (await this.#json("v1/sessions", init)) as CreatedSession;
  }

  /** Throw the map away and begin anew; the session stays. */
  async reset(id: string): Promise<SessionInfo> {
    return (await this.#json(`${sessionPath(id)}/reset`, { method: "POST" })) as SessionInfo;
  }

  async #json(path: string, init: Init = {}): Promise<unknown> {
    return (await ask(new URL(path, this.base), this.token, init)).json();
  }
}

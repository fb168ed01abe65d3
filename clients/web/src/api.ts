// SPDX-License-Identifier: Apache-2.0
/** The server's addresses, with the token where one is needed. */
import { currentToken } from "./token";

const TIMEOUT_MS = 5000;

/** What the server thinks of this page's token. */
export type Access = "ok" | "no-token" | "forbidden";

/** An answer that is an error. */
export class HttpError extends Error {
  constructor(path: string, readonly status: number) {
    super(`/${path}: HTTP ${status}`);
  }

  get access(): Access {
    if (this.status === 401) return "no-token";
    return this.status === 403 ? "forbidden" : "ok";
  }
}

/** GET a path. Throws HttpError, or TypeError when the server cannot be reached. */
export async function get(path: string): Promise<Response> {
  const token = currentToken();
  const answer = await fetch(path, {
    headers: token === "" ? {} : { Authorization: `Bearer ${token}` },
    signal: AbortSignal.timeout(TIMEOUT_MS),
    cache: "no-store",
  });
  if (!answer.ok) throw new HttpError(path, answer.status);
  return answer;
}

/** A WebSocket's address: it cannot send headers, so the token goes with the query. */
export function socketAddress(path: string, query: Record<string, string>): string {
  const address = new URL(path, document.baseURI);
  address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
  address.search = withToken(new URLSearchParams(query)).toString();
  address.hash = "";
  return address.href;
}

/** The address of something to download: a link cannot send headers either. */
export function downloadAddress(path: string): string {
  const query = withToken(new URLSearchParams()).toString();
  return query === "" ? path : `${path}?${query}`;
}

function withToken(query: URLSearchParams): URLSearchParams {
  const token = currentToken();
  if (token !== "") query.set("token", token);
  return query;
}

// SPDX-License-Identifier: Apache-2.0
/** Which session the camera streams into: the one that the address names, or a new one. */
import { tokenOf } from "../token";
import { Server, type ServerInfo } from "./server";

/** A session, and the key to it; null on an open server. */
export interface Target {
  readonly session: string;
  readonly token: string | null;
}

/** `?session=ID#token=T`; either may be missing. Tokens live in the fragment: no server logs it. */
export function targetOf(address: { readonly search: string; readonly hash: string }): {
  session: string | null;
  token: string | null;
} {
  const session = new URLSearchParams(address.search).get("session");
  return { session: session || null, token: tokenOf(address.hash) || null };
}

/** The part of an address behind the page's name. */
export function addressOf({ session, token }: Target): string {
  const fragment = token === null ? "" : `#${new URLSearchParams({ token }).toString()}`;
  return `?${new URLSearchParams({ session }).toString()}${fragment}`;
}

/** Where the map is shown: `embedded` beside the picture, or on a page of its own. */
export function mapAddress(target: Target, embedded: boolean): string {
  const fragment = new URLSearchParams();
  if (target.token !== null) fragment.set("token", target.token);
  if (embedded) fragment.set("embed", "1");
  const query = new URLSearchParams({ session: target.session });
  return `./?${query.toString()}${fragment.size > 0 ? `#${fragment.toString()}` : ""}`;
}

/** The server, and the session on it, as they answered. */
export interface Reached {
  readonly info: ServerInfo;
  readonly target: Target;
  /** The session's, for people. */
  readonly name: string;
}

export class Destination {
  readonly #base: string;
  /** Of the address: a session's publish token, or the server's, which may create sessions. */
  readonly #token: string | null;
  #target: Target | null;

  constructor(address: Location, base: string) {
    this.#base = base;
    const { session, token } = targetOf(address);
    this.#token = token;
    this.#target = session === null ? null : { session, token };
  }

  get target(): Target | null {
    return this.#target;
  }

  /** The server, spoken to with the session's own key where there is one. */
  get server(): Server {
    return new Server(this.#base, this.#target?.token ?? this.#token);
  }

  /** Ask server and session; create one where the address names none. Throws as `ask` does. */
  async reach(): Promise<Reached> {
    const info = await this.server.info();
    this.#target ??= await this.#create();
    const target = this.#target;
    const { name } = await this.server.session(target.session);
    return { info, target, name };
  }

  /** The next `reach` creates a session. */
  forget(): void {
    this.#target = null;
  }

  async #create(): Promise<Target> {
    const created = await this.server.createSession("camera");
    return { session: created.session, token: created.publish_token || this.#token };
  }
}

// SPDX-License-Identifier: Apache-2.0
/** Which session is on the screen: the one the address names, else the newest live one. */
import { type SessionInfo, isLive, label, listSessions } from "./sessions";
import { element } from "./status";
import type { Viewer } from "./viewer";

const POLL_MS = 1000;
const POLL_WITH_SESSION_MS = 4000;
/** Where senders reach a server that was not told otherwise. */
const DEFAULT_GRPC_PORT = 8431;

export class Picker {
  readonly #viewer: Viewer;
  readonly #select = element<HTMLSelectElement>("sessions");
  readonly #name = element("session-name");
  readonly #empty = element("empty");
  readonly #emptyNote = element("empty-note");
  /** Chosen by the address or by hand: stays, whatever else appears. */
  #pinned = new URLSearchParams(location.search).get("session");

  constructor(viewer: Viewer) {
    this.#viewer = viewer;
    this.#select.addEventListener("change", () => this.#choose(this.#select.value));
    for (const address of document.querySelectorAll(".grpc-address")) {
      address.textContent = `${location.hostname}:${DEFAULT_GRPC_PORT}`;
    }
    if (this.#pinned !== null) this.#viewer.open(this.#pinned);
    void this.#poll();
  }

  async #poll(): Promise<never> {
    for (;;) {
      if (document.visibilityState === "visible") await this.#refresh();
      const waitMs = this.#viewer.session === null ? POLL_MS : POLL_WITH_SESSION_MS;
      await new Promise((resolve) => window.setTimeout(resolve, waitMs));
    }
  }

  async #refresh(): Promise<void> {
    let sessions: SessionInfo[];
    try {
      sessions = await listSessions();
    } catch (error) {
      console.debug("mapcast: no list of sessions:", error);
      this.#showEmpty("The server does not answer. Is it still running?");
      return;
    }
    this.#follow(sessions);
    this.#showList(sessions);
    this.#showEmpty("Waiting for the first session…");
  }

  /** Nothing pinned: go to the newest live session when what is shown has ended. */
  #follow(sessions: readonly SessionInfo[]): void {
    if (this.#pinned !== null) return;
    const shown = sessions.find((info) => info.session === this.#viewer.session);
    if (shown !== undefined && isLive(shown)) return;
    const best = sessions.at(0);
    if (best === undefined) this.#viewer.close();
    else if (shown === undefined || isLive(best)) this.#viewer.open(best.session);
  }

  #choose(session: string): void {
    this.#pinned = session;
    history.replaceState(null, "", `?${new URLSearchParams({ session }).toString()}`);
    this.#viewer.open(session);
  }

  #showList(sessions: readonly SessionInfo[]): void {
    const shown = sessions.find((info) => info.session === this.#viewer.session);
    const name = shown?.name || this.#viewer.session;
    this.#name.textContent = name ?? "";
    document.title = name === null ? "mapcast" : `${name} · mapcast`;
    const isChoice = sessions.length > (shown === undefined ? 0 : 1);
    this.#select.hidden = !isChoice;
    this.#name.hidden = isChoice;
    if (!isChoice || document.activeElement === this.#select) return;
    this.#select.replaceChildren(
      ...sessions.map((info) => new Option(label(info), info.session, false, info === shown)),
    );
    if (shown === undefined) this.#select.selectedIndex = -1;
  }

  #showEmpty(note: string): void {
    const isEmpty = this.#viewer.session === null;
    this.#empty.hidden = !isEmpty;
    document.body.dataset["empty"] = String(isEmpty);
    this.#emptyNote.textContent = note;
  }
}

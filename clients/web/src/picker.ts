// SPDX-License-Identifier: Apache-2.0
/** Which session is on the screen: the one the address names, else the newest live one. */
import { type Access, HttpError } from "./api";
import { element, put } from "./page";
import { type SessionInfo, getSession, isLive, label, listSessions } from "./sessions";
import type { Viewer } from "./viewer";

const POLL_MS = 1000;
const POLL_WITH_SESSION_MS = 4000;

export class Picker {
  /** What the server answered last. */
  server: Access | "silent" = "ok";
  /** What it says of the session on the screen. */
  info: SessionInfo | null = null;
  readonly #viewer: Viewer;
  readonly #select = element<HTMLSelectElement>("sessions");
  readonly #name = element("session-name");
  #isStopped = false;
  /** Chosen by the address or by hand: stays, whatever else appears. */
  #pinned = new URLSearchParams(location.search).get("session");

  constructor(viewer: Viewer) {
    this.#viewer = viewer;
    this.#select.addEventListener("change", () => this.#choose(this.#select.value));
    if (this.#pinned !== null) this.#viewer.open(this.#pinned);
  }

  /** Ask the server again and again while the page is visible, until `stop`. */
  async run(): Promise<void> {
    while (!this.#isStopped) {
      if (document.visibilityState === "visible") await this.#refresh();
      const waitMs = this.#viewer.session === null ? POLL_MS : POLL_WITH_SESSION_MS;
      await new Promise((resolve) => window.setTimeout(resolve, waitMs));
    }
  }

  /** Open nothing any more. */
  stop(): void {
    this.#isStopped = true;
    this.#select.disabled = true;
  }

  async #refresh(): Promise<void> {
    try {
      const sessions = await this.#ask();
      if (this.#isStopped) return;
      this.server = "ok";
      this.#follow(sessions);
      this.#showList(sessions);
    } catch (error) {
      console.debug("mapcast: no list of sessions:", error);
      // That a session is not there does not make the server silent: its socket tells that.
      this.server = error instanceof HttpError ? error.access : "silent";
      this.#showList([]);
    }
  }

  /** All sessions; the pinned one alone for who may not list them. */
  async #ask(): Promise<SessionInfo[]> {
    try {
      return await listSessions();
    } catch (error) {
      const isDenied = error instanceof HttpError && error.access !== "ok";
      if (!isDenied || this.#pinned === null) throw error;
      return [await getSession(this.#pinned)];
    }
  }

  /** Nothing pinned: when what is shown has ended, go to the newest live session, or the newest. */
  #follow(sessions: readonly SessionInfo[]): void {
    if (this.#pinned !== null) return;
    const shown = sessions.find((info) => info.session === this.#viewer.session);
    if (shown !== undefined && isLive(shown)) return;
    const best = sessions.at(0);
    if (best === undefined) this.#viewer.close();
    else if (best !== shown) this.#viewer.open(best.session);
  }

  #choose(session: string): void {
    this.#pinned = session;
    const query = new URLSearchParams({ session }).toString();
    history.replaceState(null, "", `?${query}${location.hash}`);
    this.#viewer.open(session);
  }

  #showList(sessions: readonly SessionInfo[]): void {
    const shown = sessions.find((info) => info.session === this.#viewer.session);
    this.info = shown ?? null;
    const name = shown?.name || this.#viewer.session;
    put(this.#name, name ?? "");
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
}

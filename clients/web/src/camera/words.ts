// SPDX-License-Identifier: Apache-2.0
/** What is shown big over the picture: how the tracking goes, and what to do. */
import type { PublishStatus } from "./control";

export type Tone = "good" | "busy" | "bad" | "idle";
/** Symbols of the page's sprite: the tone is never told by colour alone. */
export type Icon = "check" | "search" | "alert" | "pause" | "wait";

export interface Words {
  readonly text: string;
  readonly tone: Tone;
  readonly icon: Icon;
}

const TRACKING: Record<string, Words> = {
  initializing: { text: "Move slowly sideways", tone: "busy", icon: "search" },
  tracking: { text: "Mapping", tone: "good", icon: "check" },
  relocalized: { text: "Found the place again", tone: "good", icon: "check" },
  lost: { text: "Lost: go back to a mapped place", tone: "bad", icon: "alert" },
  reset: { text: "Go back to a mapped place", tone: "bad", icon: "alert" },
};
export const STARTING: Words = { text: "Starting the camera", tone: "idle", icon: "wait" };
export const CONNECTING: Words = { text: "Connecting", tone: "idle", icon: "wait" };
export const WAITING: Words = { text: "Waiting for the first picture", tone: "idle", icon: "wait" };
/** Pictures come in, but the tracker has not seen one yet. */
const PREPARING: Words = { text: "The server is getting ready", tone: "idle", icon: "wait" };
const PAUSED: Words = { text: "Paused by the server", tone: "idle", icon: "pause" };

const plainName = (name: string): string => name.replace(/^TRACKING_STATE_/, "").toLowerCase();

/** The server's guidance wins: it knows why; the tracking state gives tone and icon. */
export function statusWords(status: PublishStatus): Words {
  if (status.state === "paused") return PAUSED;
  const words =
    TRACKING[plainName(status.tracking)] ?? (status.frames > 0 ? PREPARING : WAITING);
  if (status.guidance === "") return words;
  const text = sentence(status.guidance);
  return words.tone === "good" ? { text, tone: "busy", icon: "alert" } : { ...words, text };
}

/** The stream broke. Without a countdown, which screen readers would read out each second. */
export const retryWords = (why: string): Words => ({
  text: `${sentence(why)}. Trying again…`,
  tone: "bad",
  icon: "alert",
});

/** `move slower.` → `Move slower`; several sentences keep their stops. */
const sentence = (words: string): string =>
  (words.charAt(0).toUpperCase() + words.slice(1)).replace(/^([^.?!]*)\.$/, "$1");

/** Keeps words up long enough to be read, however often the server changes its mind. */
export class Steady {
  readonly #holdMs: number;
  #shown: Words | null = null;
  #sinceMs = -Infinity;

  constructor(holdMs: number) {
    this.#holdMs = holdMs;
  }

  /** What to show now, given what the server says now. */
  show(words: Words, nowMs: number): Words {
    const same = this.#shown?.text === words.text && this.#shown.tone === words.tone;
    if (this.#shown !== null && (same || nowMs - this.#sinceMs < this.#holdMs)) return this.#shown;
    this.#shown = words;
    this.#sinceMs = nowMs;
    return words;
  }

  clear(): void {
    this.#shown = null;
    this.#sinceMs = -Infinity;
  }
}

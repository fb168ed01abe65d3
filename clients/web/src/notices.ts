// SPDX-License-Identifier: Apache-2.0
/** What to tell a user who does not see what they came for, and what they can do. No DOM here. */
import type { Access } from "./api";
import type { ConnectionState } from "./connection";
import type { Status } from "./protocol";

/** What the page knows. */
export interface Situation {
  readonly server: Access | "silent";
  readonly session: string | null;
  readonly connection: ConnectionState | null;
  readonly status: Status | null;
  readonly blocks: number;
}

/** `here`: stream from the device that shows the page. */
export type Offer = "phone" | "here" | "commands" | "token" | "others";

export interface Notice {
  readonly title: string;
  readonly text: string;
  readonly offers: readonly Offer[];
}

const ACCESS: Record<Exclude<Access, "ok">, Notice> = {
  "no-token": {
    title: "This server asks for a token",
    text: "Open the link that the server printed at its start, or paste it here.",
    offers: ["token"],
  },
  forbidden: {
    title: "This link does not open this map",
    text: "Its token is of another session or server. Ask for a new link, or paste one.",
    offers: ["token"],
  },
};

const GONE: Notice = {
  title: "This session is no longer on the server.",
  text: "It was deleted, or the server was started anew.",
  offers: ["others"],
};

const SILENT: Notice = {
  title: "The server does not answer",
  text: "Is it still running? This page goes on asking.",
  offers: [],
};

const NO_SESSION: Notice = {
  title: "No session yet",
  text: "Stream something to this server; the page follows it by itself.",
  offers: ["phone", "here", "commands"],
};

const WAITING: Notice = {
  title: "Waiting for a camera",
  text: "The session is open, and nothing has been streamed to it yet.",
  offers: ["here"],
};

const EMPTY_END: Notice = {
  title: "Nothing was mapped",
  text:
    "The session is over, and its camera's way was never found. More light, more texture and a " +
    "slow move sideways help at the start.",
  offers: ["phone", "others"],
};

/** What stands in the middle of a page without a map; null: nothing is to be said. */
export function notice(situation: Situation): Notice | null {
  const { server, session, connection, status, blocks } = situation;
  const access = connection?.kind === "denied" ? connection.access : server;
  if (access === "no-token" || access === "forbidden") return ACCESS[access];
  if (session === null) return server === "silent" ? SILENT : NO_SESSION;
  if (connection?.kind === "gone") return GONE;
  if (blocks > 0 || connection?.kind !== "live" || status === null) return null;
  if (status.state === "failed") return failed(status);
  if (status.state === "finished") return EMPTY_END;
  return status.state === "waiting" && status.frames === 0 ? WAITING : null;
}

function failed(status: Status): Notice {
  const why = status.reason === "" ? "" : ` (${status.reason})`;
  return {
    title: "This session failed",
    text: `Its worker stopped before there was a map${why}. Start another one.`,
    offers: ["phone", "others"],
  };
}

const TRACKING_HINTS: Record<string, string> = {
  initializing: "Starting. Move the camera slowly sideways, towards something with texture.",
  lost: "Point the camera at a place that is on the map already, and hold it there for a moment.",
  reset: "This place does not join the map yet. Go back to one that it knows.",
};

/** One line below a map, or below the place where it will be; empty: all is well. */
export function hint({ connection, status, blocks }: Situation): string {
  if (connection?.kind !== "live" || status === null) return "";
  if (status.state === "failed" && blocks > 0) {
    return "The session failed. Its map so far stays here, and can be downloaded.";
  }
  if (status.state === "waiting" && status.frames > 0) {
    return "The camera has left. The map goes on when it comes back.";
  }
  if (status.state !== "active") return "";
  if (status.full) return "The map is full: known places are refined, new ones are not added.";
  if (status.frames === 0) return "Connected. Waiting for the first picture.";
  return TRACKING_HINTS[trackingName(status.tracking)] ?? "";
}

/** `TRACKING_STATE_LOST` and `lost` are the same to a reader. */
export const trackingName = (name: string): string =>
  name.replace(/^TRACKING_STATE_/, "").toLowerCase();

// SPDX-License-Identifier: Apache-2.0
/** Whatever can go wrong, in words that say what to do. Pure: errors in, words out. */
import { LinkLost, Unsupported } from "./publisher";
import { Refused } from "./server";

/** What the page's button then does; `none`: nothing helps here. */
export type Remedy = "retry" | "new session" | "none";

export interface Problem {
  readonly title: string;
  readonly advice: string;
  /** To be typed on the server's machine. */
  readonly command?: string;
  /** The server's or the browser's own words. */
  readonly detail?: string;
  readonly remedy: Remedy;
}

export const SECURE_COMMAND = "mapcast serve --host 0.0.0.0 --tls auto";

/** Browsers give cameras only to pages that came over TLS, or from this very machine. */
export function insecureProblem(address: Pick<Location, "host" | "protocol">): Problem {
  if (address.protocol === "https:") {
    return {
      title: "This browser has no camera for pages",
      advice: "Open the page in Chrome, Safari, Firefox or Edge, not inside another app.",
      remedy: "none",
    };
  }
  return {
    title: "The camera needs a secure page",
    advice:
      `Browsers give the camera only to https pages; this one came over http from ` +
      `${address.host}. Start the server with TLS, then open the https link that it prints. ` +
      "Its certificate is self-made: accept the browser's warning once.",
    command: SECURE_COMMAND,
    remedy: "none",
  };
}

/** By the name of what `getUserMedia` threw. */
export function cameraProblem(error: unknown): Problem {
  const { name, message } = error instanceof Error ? error : { name: "", message: String(error) };
  const [title, advice] = CAMERA_WORDS[name] ?? OTHER_CAMERA_WORDS;
  const problem: Problem = { title, advice, remedy: "retry" };
  return message === "" ? problem : { ...problem, detail: message };
}

const OTHER_CAMERA_WORDS: [string, string] = [
  "The camera does not start",
  "Choose another camera, or try again.",
];
const CAMERA_WORDS: Record<string, [string, string]> = {
  NotAllowedError: [
    "The camera is not allowed",
    "Allow it in the browser's settings for this page (the icon beside the address), then try " +
      "again. On a phone the browser itself may need permission in the system's settings.",
  ],
  NotFoundError: ["No camera found", "Connect a camera, or open this page on a phone."],
  NotReadableError: [
    "The camera is in use",
    "Another app or tab has it. Close that, then try again.",
  ],
  AbortError: ["The camera is in use", "Another app or tab has it. Close that, then try again."],
  OverconstrainedError: [
    "That camera is gone",
    "It was unplugged, or cannot do this size. Choose another camera or size, then try again.",
  ],
};

/** What the server, or the way to it, said to an attempt to create or join a session. */
export function serverProblem(error: unknown): Problem {
  if (error instanceof Refused) return refusalProblem(error);
  const detail = error instanceof LinkLost || error instanceof Unsupported ? error.message : "";
  const problem: Problem = {
    title: "The server cannot be reached",
    advice: "Is it still running, and is this device in the same network?",
    remedy: "retry",
  };
  return detail === "" ? problem : { ...problem, detail };
}

function refusalProblem({ status, reason }: Refused): Problem {
  const [title, advice, remedy] = REFUSAL_WORDS[status] ?? [
    `The server refused (${status})`,
    "Try again; if it stays so, the server's log says more.",
    "retry",
  ];
  return reason === "" ? { title, advice, remedy } : { title, advice, remedy, detail: reason };
}

const REFUSAL_WORDS: Record<number, [string, string, Remedy]> = {
  401: [
    "This link has no key",
    "The server wants a token. Open the camera page by the QR code or the link that it shows.",
    "none",
  ],
  403: [
    "This link's key does not fit",
    "It may be for watching only, or for another session. Ask for a new camera link.",
    "none",
  ],
  404: [
    "That session is no longer there",
    "The server forgot it, or was restarted. Begin a new one.",
    "new session",
  ],
  409: [
    "Another camera is streaming",
    "A session takes one camera at a time. Stop the other one, then try again.",
    "retry",
  ],
  503: [
    "The server is full",
    "It has as many sessions as it takes. Wait until one ends, then try again.",
    "retry",
  ],
};

/** The session takes no more pictures. */
export function overProblem(state: string, reason: string): Problem {
  const failed = state === "failed";
  const problem: Problem = {
    title: failed ? "The session failed" : "The session is finished",
    advice: failed
      ? "Its map so far is kept and can still be looked at. Begin a new session to go on."
      : "Its map is complete and can still be looked at. Begin a new session to map more.",
    remedy: "new session",
  };
  return reason === "" ? problem : { ...problem, detail: reason };
}

/** The picture changed its size: the phone was turned. */
export function turnedProblem(wanted: "upright" | "sideways"): Problem {
  return {
    title: `Hold the phone ${wanted} again`,
    advice:
      "A map is made from pictures of one shape, and this one began so. Turn the phone back, or " +
      "start over the way you hold it now.",
    remedy: "none",
  };
}

export function endedProblem(): Problem {
  return {
    title: "The camera stopped",
    advice: "It was unplugged, or the system took it for something else. Try again.",
    remedy: "retry",
  };
}

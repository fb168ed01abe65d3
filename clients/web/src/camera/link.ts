// SPDX-License-Identifier: Apache-2.0
/** Where a phone reaches the camera page, or why it cannot. */

/** Where the page that asks was loaded from. */
export type Here = Pick<Location, "origin" | "hostname">;

export type PhoneAccess =
  | { readonly kind: "ready"; readonly origins: readonly [string, ...string[]] }
  /** No other machine reaches the server. */
  | { readonly kind: "loopback" }
  /** Others reach it, but not over TLS: a phone would give the page no camera. */
  | { readonly kind: "insecure" };

export const isLoopback = (hostname: string): boolean =>
  hostname === "localhost" || /^127\.|^\[?::1\]?$/.test(hostname);

/**
 * `publicUrls` are the server's own of `/v1/server`. The address of this page comes first when it
 * is one that a phone can use: it may be a proxy's, which the server does not know.
 */
export function phoneAccess(publicUrls: readonly string[], here: Here): PhoneAccess {
  const all = publicUrls.map((url) => new URL(url).origin);
  if (!isLoopback(here.hostname)) all.unshift(here.origin);
  if (all.length === 0) return { kind: "loopback" };
  const [first, ...others] = new Set(all.filter((origin) => origin.startsWith("https:")));
  if (first === undefined) return { kind: "insecure" };
  return { kind: "ready", origins: [first, ...others] };
}

/** What a person reads of a link: the token in its fragment is nobody's business. */
export const shownLink = (url: string): string => url.replace(/#.*$/, "");

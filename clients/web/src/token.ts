// SPDX-License-Identifier: Apache-2.0
/**
 * What a closed server asks for. A link carries it behind the `#`, which browsers send to nobody;
 * the page keeps it there, so that a reload and a bookmark still work.
 */

/** "#token=abc" → "abc"; empty when there is none. */
export function tokenOf(hash: string): string {
  return new URLSearchParams(hash.replace(/^#/, "")).get("token") ?? "";
}

/** What a person pastes: a token, or a link that has one. */
export function tokenFromPasted(text: string): string {
  const [, hash] = text.trim().split("#");
  return hash === undefined ? text.trim() : tokenOf(hash);
}

export const currentToken = (): string => tokenOf(location.hash);

/** Start anew with another token. */
export function enterToken(token: string): void {
  location.hash = new URLSearchParams({ token }).toString();
  location.reload();
}

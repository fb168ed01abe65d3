// SPDX-License-Identifier: Apache-2.0
/** Small things that every part of the page needs. */

export function element<T extends HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`the page has no #${id}`);
  return found as T;
}

/** Change a text only where it differs: the rest of the page then stays as it is. */
export function put(target: HTMLElement, text: string): void {
  if (target.textContent !== text) target.textContent = text;
}

// SPDX-License-Identifier: Apache-2.0
/** Small things that every part of both pages needs. */

export function element<T extends HTMLElement>(id: string): T {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`the page has no #${id}`);
  return found as T;
}

/** Change a text only where it differs: screen readers speak every change. */
export function put(target: HTMLElement, text: string): void {
  if (target.textContent !== text) target.textContent = text;
}

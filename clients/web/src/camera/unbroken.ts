// SPDX-License-Identifier: Apache-2.0
/** A command as elements that wrap between its words only: an option has hyphens of its own. */

export const unbroken = (command: string): (HTMLElement | string)[] =>
  command.split(" ").flatMap((word) => {
    const span = document.createElement("span");
    span.style.whiteSpace = "nowrap";
    span.textContent = word;
    return [span, " "];
  });

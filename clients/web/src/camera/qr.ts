// SPDX-License-Identifier: Apache-2.0
/** A text as a QR code (ISO/IEC 18004) in SVG. */
import { generate } from "lean-qr/nano";
import { toSvgPath } from "lean-qr/extras/svg";

/** Modules of white around the code: readers need them, on dark pages above all. */
const QUIET_MODULES = 4;
const SVG = "http://www.w3.org/2000/svg";

export function qrCode(text: string, label: string): SVGSVGElement {
  const code = generate(text);
  const size = code.size + 2 * QUIET_MODULES;
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", `${-QUIET_MODULES} ${-QUIET_MODULES} ${size} ${size}`);
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", label);
  svg.setAttribute("shape-rendering", "crispEdges");
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", toSvgPath(code));
  svg.append(path);
  return svg;
}

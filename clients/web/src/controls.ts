// SPDX-License-Identifier: Apache-2.0
/** Buttons and keys: each says what it does to the scene, and shows how things stand. */
import { downloadAddress } from "./api";
import { isFlyKey } from "./fly";
import { element, put } from "./page";
import type { Picture } from "./picture";
import { LAYERS, type Layer } from "./scene";
import { sessionPath } from "./sessions";
import { HEIGHT_COLORS, SHADINGS, type Shading } from "./shading";
import { VIEW_MODES } from "./view";
import type { Viewer } from "./viewer";

const LAYER_KEYS: Record<string, Layer> = { m: "mesh", t: "path", k: "cameras", g: "grid" };

export class Controls {
  readonly #viewer: Viewer;
  readonly #picture: Picture;
  readonly #help = element<HTMLDialogElement>("help");
  readonly #download = element<HTMLDialogElement>("download");
  readonly #panel = element("panel");
  #shading: Shading = "color";

  constructor(viewer: Viewer, picture: Picture) {
    this.#viewer = viewer;
    this.#picture = picture;
    const { view } = viewer.scene;
    for (const mode of VIEW_MODES) on(`[data-mode="${mode}"]`, () => view.setMode(mode));
    for (const shading of SHADINGS) {
      on(`[data-shading="${shading}"]`, () => this.#setShading(shading));
    }
    for (const layer of LAYERS) on(`[data-layer="${layer}"]`, () => this.#toggleLayer(layer));
    on("#button-fit", () => view.fit());
    on("#button-picture", () => this.#togglePicture());
    on("#button-help", () => this.#help.showModal());
    on("#button-download", () => this.#showDownload());
    on("#button-panel", () => this.#panel.toggleAttribute("data-open"));
    on("#button-retry", () => viewer.retry());
    const ramp = element("height-legend").querySelector("i")!;
    ramp.style.background = `linear-gradient(to top, ${HEIGHT_COLORS.join(", ")})`;
    window.addEventListener("keydown", (event) => this.#press(event));
    view.modeChanged = () => this.#show();
    this.#show();
  }

  #press(event: KeyboardEvent): void {
    const isTyping =
      event.target instanceof HTMLSelectElement || event.target instanceof HTMLInputElement;
    if (event.ctrlKey || event.metaKey || event.altKey || isTyping || isDialogOpen()) return;
    const { view } = this.#viewer.scene;
    if (isFlyKey(event.code)) view.setMode("fly");
    if (view.mode === "fly" && view.fly.keyDown(event)) {
      event.preventDefault();
      return;
    }
    this.#act(event.key.toLowerCase());
  }

  #act(key: string): void {
    const { view } = this.#viewer.scene;
    const layer = LAYER_KEYS[key];
    const mode = VIEW_MODES[Number(key) - 1];
    if (layer !== undefined) this.#toggleLayer(layer);
    else if (mode !== undefined) view.setMode(mode);
    else if (key === "0") view.fit();
    else if (key === "v") this.#setShading(next(SHADINGS, this.#shading));
    else if (key === "p") this.#togglePicture();
    else if (key === "?") this.#help.showModal();
  }

  #setShading(shading: Shading): void {
    this.#shading = shading;
    this.#viewer.scene.shading = shading;
    this.#show();
  }

  #toggleLayer(layer: Layer): void {
    const { scene } = this.#viewer;
    scene.show(layer, !scene.isShown(layer));
    this.#show();
  }

  #togglePicture(): void {
    this.#picture.show(!this.#picture.isShown);
    this.#show();
  }

  #showDownload(): void {
    const { session, summary } = this.#viewer;
    if (session === null) return;
    for (const link of this.#download.querySelectorAll<HTMLAnchorElement>("a[data-file]")) {
      const file = link.dataset["file"] ?? "";
      link.href = downloadAddress(`${sessionPath(session)}/${file}`);
      link.download = file;
    }
    put(
      element("download-note"),
      summary.units === "m"
        ? "In metres, with colours, as the map is now."
        : "With colours, as the map is now. Its scale is not known: one unit is not a metre.",
    );
    this.#download.showModal();
  }

  #show(): void {
    const { scene } = this.#viewer;
    for (const mode of VIEW_MODES) press(`[data-mode="${mode}"]`, scene.view.mode === mode);
    for (const shading of SHADINGS) press(`[data-shading="${shading}"]`, this.#shading === shading);
    for (const layer of LAYERS) press(`[data-layer="${layer}"]`, scene.isShown(layer));
    press("#button-fit", scene.view.isFitting);
    press("#button-picture", this.#picture.isShown);
    element("height-legend").hidden = this.#shading !== "height";
  }
}

function button(selector: string): HTMLElement {
  const found = document.querySelector<HTMLElement>(selector);
  if (found === null) throw new Error(`the page has no ${selector}`);
  return found;
}

const on = (selector: string, act: () => void): void =>
  button(selector).addEventListener("click", act);

function press(selector: string, isPressed: boolean): void {
  button(selector).ariaPressed = String(isPressed);
}

const isDialogOpen = (): boolean => document.querySelector("dialog[open]") !== null;

function next<T>(values: readonly T[], value: T): T {
  return values[(values.indexOf(value) + 1) % values.length];
}

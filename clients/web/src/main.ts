// SPDX-License-Identifier: Apache-2.0
/** Puts the page together: viewer, session picker, status line, keys and buttons. */
import xxhash from "xxhash-wasm";

import { Picker } from "./picker";
import { StatusLine, element } from "./status";
import "./style.css";
import type { ViewMode } from "./view";
import { Viewer } from "./viewer";

const STATUS_PERIOD_MS = 200;

/** What tests and the curious may ask the page. */
interface Inspection {
  hash(): string;
  serverHash(): string;
  blocks(): number;
  triangles(): number;
  poses(): number;
  revision(): string;
  connected(): boolean;
  exact(): boolean;
  /** Whether the picture shows all that was received. */
  settled(): boolean;
}

declare global {
  interface Window {
    mapcast?: Inspection;
  }
}

async function main(): Promise<void> {
  const { h64Raw } = await xxhash();
  const viewer = new Viewer(element<HTMLCanvasElement>("scene"), h64Raw);
  const statusLine = new StatusLine();
  viewer.connectionChanged = () => statusLine.show(viewer);
  window.setInterval(() => statusLine.show(viewer), STATUS_PERIOD_MS);
  bindControls(viewer);
  window.mapcast = inspection(viewer);
  new Picker(viewer);
}

function bindControls(viewer: Viewer): void {
  const { view } = viewer.scene;
  const help = element<HTMLDialogElement>("help");
  const toggle = (mode: ViewMode): void => view.setMode(view.mode === mode ? "free" : mode);
  const actions: Record<string, () => void> = {
    a: () => view.setMode("fit"),
    f: () => toggle("follow"),
    h: () => (help.open ? help.close() : help.showModal()),
  };
  window.addEventListener("keydown", (event) => {
    const typing = event.target instanceof HTMLSelectElement;
    if (event.ctrlKey || event.metaKey || event.altKey || typing) return;
    actions[event.key.toLowerCase()]?.();
  });
  element("button-fit").addEventListener("click", actions["a"]);
  element("button-follow").addEventListener("click", actions["f"]);
  element("button-help").addEventListener("click", actions["h"]);
  const showMode = (mode: ViewMode): void => {
    element("button-fit").ariaPressed = String(mode === "fit");
    element("button-follow").ariaPressed = String(mode === "follow");
  };
  view.modeChanged = showMode;
  showMode(view.mode);
}

function inspection(viewer: Viewer): Inspection {
  const { map, progress, scene, trajectory } = viewer;
  return {
    hash: () => map.hash.toString(),
    serverHash: () => progress.serverHash.toString(),
    blocks: () => map.blocks,
    triangles: () => map.triangles,
    poses: () => trajectory.rows.length,
    revision: () => progress.revision.toString(),
    connected: () => viewer.connection?.kind === "live",
    exact: () => progress.verdict === "exact",
    settled: () => scene.settled,
  };
}

main().catch((error: unknown) => {
  console.error(error);
  const banner = element("banner");
  banner.textContent = `The viewer cannot start: ${String(error)}`;
  banner.hidden = false;
});

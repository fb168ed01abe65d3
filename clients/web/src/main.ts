// SPDX-License-Identifier: Apache-2.0
/** Puts the page together: viewer, session picker, words and numbers, buttons and keys. */
import { openPhoneDialog } from "./camera/qr_dialog";
import { Controls } from "./controls";
import { type Inspection, inspection } from "./inspection";
import { NoticeCard } from "./notice_card";
import "./overlays.css";
import { element } from "./page";
import { Picker } from "./picker";
import { Picture } from "./picture";
import { StatusLine } from "./status";
import "./style.css";
import { Viewer } from "./viewer";

const STATUS_PERIOD_MS = 200;

declare global {
  interface Window {
    mapcast?: Inspection;
  }
}

function main(): void {
  // The camera page shows the map beside its picture, and has words of its own.
  const isEmbedded = new URLSearchParams(location.hash.replace(/^#/, "")).has("embed");
  document.body.dataset["embedded"] = String(isEmbedded);
  const viewer = new Viewer(element<HTMLCanvasElement>("scene"));
  const picture = new Picture(() => viewer.session);
  const openPhone = (): void => openPhoneDialog(document.body);
  const card = new NoticeCard(openPhone);
  const statusLine = new StatusLine();
  const picker = new Picker(viewer);
  new Controls(viewer, picture);
  element("button-phone").addEventListener("click", openPhone);
  const show = (): void => {
    const { session, connection, status, summary } = viewer;
    statusLine.show(viewer, picker.info);
    card.show({ server: picker.server, session, connection, status, blocks: summary.blocks });
  };
  viewer.connectionChanged = show;
  const showing = window.setInterval(show, STATUS_PERIOD_MS);
  viewer.failed = (reason) => {
    window.clearInterval(showing);
    viewer.connectionChanged = () => {};
    picker.stop();
    viewer.close();
    giveUp(`The viewer stopped: ${reason}. Load the page again.`);
  };
  window.mapcast = inspection(viewer);
  void picker.run();
}

/** Words that nothing replaces: the page has to be loaded again. */
function giveUp(words: string): void {
  const banner = element("banner");
  banner.replaceChildren(words);
  banner.hidden = false;
}

try {
  main();
} catch (error) {
  console.error(error);
  giveUp(`The viewer cannot start: ${String(error)}. It needs a browser with WebGL 2.`);
}

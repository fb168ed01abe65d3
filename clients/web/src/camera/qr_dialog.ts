// SPDX-License-Identifier: Apache-2.0
/** On the desktop's viewer: a QR code that makes a phone the camera of a new session. */
import { isOver } from "./broadcast";
import { type PhoneAccess, phoneAccess, shownLink } from "./link";
import { SECURE_COMMAND, serverProblem } from "./problems";
import { qrCode } from "./qr";
import "./qr_dialog.css";
import { type CreatedSession, Refused, Server } from "./server";
import { targetOf } from "./target";
import { unbroken } from "./unbroken";

const POLL_MS = 1000;

/** Open the dialog. When the phone's first picture arrives, the viewer goes to its session. */
export function openPhoneDialog(parent: HTMLElement): void {
  new PhoneDialog(parent);
}

const HTML = `
  <h2 id="phone-title">Use a phone as the camera</h2>
  <div class="phone-code" hidden></div>
  <p class="phone-words" role="status">One moment…</p>
  <p class="phone-command" hidden><code></code></p>
  <label class="phone-address" hidden>Address <select></select></label>
  <div class="phone-link" hidden>
    <input readonly aria-label="Link to the camera page" />
    <button type="button">Copy link</button>
  </div>
  <p class="phone-note" hidden>
    Phone and server must be in the same network. The server's certificate is its own: the phone's
    browser warns once, and lets you go on. Anyone who has this link can stream.
  </p>
  <form method="dialog">
    <a class="phone-here" target="_blank" rel="noopener" hidden>Use this computer's camera</a>
    <button>Close</button>
  </form>`;

const WORDS: Record<PhoneAccess["kind"], string> = {
  ready: "Scan this with the phone's camera, then press Start on the page that opens.",
  loopback:
    "This server listens only on this computer; a phone cannot reach it. Start it so, and open " +
    "the https link that it prints:",
  insecure:
    "Phones give the camera only to https pages, and this server has no TLS. Start it so, and " +
    "open the https link that it prints:",
};
/** Made for a phone that has not come: a dialog that is opened again offers it again. */
let unused: CreatedSession | null = null;

class PhoneDialog {
  readonly #dialog = document.createElement("dialog");
  readonly #server = new Server(document.baseURI, targetOf(location).token);
  #link = "";

  constructor(parent: HTMLElement) {
    this.#dialog.className = "phone-dialog";
    this.#dialog.setAttribute("aria-labelledby", "phone-title");
    this.#dialog.innerHTML = HTML;
    parent.append(this.#dialog);
    this.#dialog.addEventListener("close", () => this.#dialog.remove());
    this.#part("code").append(...unbroken(SECURE_COMMAND));
    this.#part("button").addEventListener("click", () => void this.#copy());
    const address = this.#part<HTMLSelectElement>("select");
    address.addEventListener("change", () => this.#showLink(address.value));
    this.#dialog.showModal();
    void this.#run();
  }

  async #run(): Promise<void> {
    try {
      const access = phoneAccess((await this.#server.info()).public_urls, location);
      this.#show(access);
      // The session may end before the phone comes: then there is another.
      while (access.kind === "ready" && this.#dialog.open) {
        unused = (await this.#unused()) ?? (await this.#server.createSession("phone"));
        this.#showLinks(access.origins, unused.camera_path);
        await this.#follow(unused.session);
      }
    } catch (error) {
      const { title, advice, detail } = serverProblem(error);
      this.#say([title, advice, detail].filter(Boolean).join(". "));
      this.#part(".phone-code").hidden = true;
    }
  }

  /** The session of an earlier dialog, if it still waits. Throws as `ask` does. */
  async #unused(): Promise<CreatedSession | null> {
    try {
      if (unused === null) return null;
      return (await this.#server.session(unused.session)).state === "waiting" ? unused : null;
    } catch (error) {
      if (error instanceof Refused && error.status === 404) return null;
      throw error;
    }
  }

  /** Return when the session is over. Throws as `ask` does. */
  async #follow(session: string): Promise<void> {
    while (this.#dialog.open) {
      await new Promise((resolve) => window.setTimeout(resolve, POLL_MS));
      try {
        const info = await this.#server.session(session);
        if (Number(info.frames) > 0) this.#goTo(session);
        if (isOver(info.state)) return;
      } catch (error) {
        if (error instanceof Refused && error.status === 404) return;
        throw error;
      }
    }
  }

  #goTo(session: string): void {
    this.#dialog.close();
    location.search = new URLSearchParams({ session }).toString(); // the token stays behind it
  }

  #show({ kind }: PhoneAccess): void {
    this.#say(WORDS[kind]);
    this.#part(".phone-command").hidden = kind === "ready";
    for (const part of [".phone-link", ".phone-note"]) this.#part(part).hidden = kind !== "ready";
    const here = this.#part<HTMLAnchorElement>(".phone-here");
    here.href = `camera.html${location.hash}`;
    here.hidden = !window.isSecureContext;
  }

  #showLinks(origins: readonly [string, ...string[]], cameraPath: string): void {
    const select = this.#part<HTMLSelectElement>("select");
    const chosen = Math.max(0, select.selectedIndex);
    const urls = origins.map((origin) => new URL(cameraPath, origin).href);
    select.replaceChildren(...urls.map((url) => new Option(new URL(url).host, url)));
    select.selectedIndex = chosen;
    this.#part(".phone-address").hidden = urls.length === 1;
    this.#showLink(select.value);
  }

  #showLink(url: string): void {
    this.#link = url;
    this.#part<HTMLInputElement>("input").value = url;
    const code = this.#part(".phone-code");
    code.replaceChildren(qrCode(url, `QR code of ${shownLink(url)}`));
    code.hidden = false;
  }

  /** Pages without TLS have no clipboard: there the link is at least marked. */
  async #copy(): Promise<void> {
    const button = this.#part("button");
    this.#part<HTMLInputElement>("input").select();
    try {
      await navigator.clipboard.writeText(this.#link);
      button.textContent = "Copied";
    } catch (error) {
      console.debug("mapcast: no clipboard:", error);
      button.textContent = "Press Ctrl+C";
    }
  }

  #say(words: string): void {
    this.#part(".phone-words").textContent = words;
  }

  #part<T extends HTMLElement>(selector: string): T {
    return this.#dialog.querySelector<T>(selector)!;
  }
}

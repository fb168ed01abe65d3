// SPDX-License-Identifier: Apache-2.0
/** Notices on the page: the card in its middle, the line below the map. */
import { type Notice, type Offer, type Situation, hint, notice } from "./notices";
import { element, put } from "./page";
import { enterToken, tokenFromPasted } from "./token";

const OFFERS: Record<Offer, string> = {
  phone: ".phone",
  here: ".here",
  commands: ".commands",
  token: ".token",
  others: ".others",
};
/** Where senders reach a server that was not told otherwise. */
const DEFAULT_GRPC_PORT = 8431;

export class NoticeCard {
  readonly #card = element("notice");
  readonly #hint = element("hint");
  readonly #title = this.#part("h2");
  readonly #text = this.#part(".text");
  #shown: Notice | null = null;

  constructor(openPhone: () => void) {
    this.#part(".phone").addEventListener("click", openPhone);
    this.#part<HTMLFormElement>(".token").addEventListener("submit", (event) => {
      event.preventDefault();
      const form = new FormData(event.target as HTMLFormElement);
      const token = tokenFromPasted(String(form.get("token")));
      if (token !== "") enterToken(token);
    });
    for (const address of document.querySelectorAll(".grpc-address")) {
      address.textContent = `${location.hostname}:${DEFAULT_GRPC_PORT}`;
    }
  }

  show(situation: Situation): void {
    const words = hint(situation);
    put(this.#hint, words);
    this.#hint.hidden = words === "";
    this.#showCard(notice(situation));
    this.#aimLinks(situation.session);
    document.body.dataset["empty"] = String(this.#shown !== null && situation.blocks === 0);
  }

  #showCard(wanted: Notice | null): void {
    if (wanted?.title === this.#shown?.title && wanted?.text === this.#shown?.text) return;
    this.#shown = wanted;
    this.#card.hidden = wanted === null;
    if (wanted === null) return;
    put(this.#title, wanted.title);
    put(this.#text, wanted.text);
    for (const [offer, selector] of Object.entries(OFFERS)) {
      this.#part(selector).hidden = !wanted.offers.includes(offer as Offer);
    }
  }

  /** The token goes with them, behind the `#`. */
  #aimLinks(session: string | null): void {
    const query = session === null ? "" : `?${new URLSearchParams({ session }).toString()}`;
    this.#part<HTMLAnchorElement>(".here").href = `camera.html${query}${location.hash}`;
    this.#part<HTMLAnchorElement>(".others").href = `./${location.hash}`;
  }

  #part<T extends HTMLElement>(selector: string): T {
    return this.#card.querySelector<T>(selector)!;
  }
}

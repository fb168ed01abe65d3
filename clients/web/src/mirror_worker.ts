// SPDX-License-Identifier: Apache-2.0
/**
 * The thread around a Mirror. At most UPDATES_UNDER_WAY updates wait for the page: while it is
 * slow, states in between are left out. Its buffers come back to be used again.
 */
import xxhash from "xxhash-wasm";

import { type FromMirror, Mirror, type ToMirror } from "./mirror";

const UPDATES_UNDER_WAY = 2;

const starting = xxhash().then(({ h64Raw }) => new Mirror(h64Raw));
const returned: (readonly [ArrayBuffer, ArrayBuffer])[] = [];
let underWay = 0;

self.onmessage = (event: MessageEvent<ToMirror>): void => {
  const working = starting.then((mirror) => {
    handle(mirror, event.data);
    tell(mirror);
  });
  working.catch(reportError); // to the page
};

function handle(mirror: Mirror, message: ToMirror): void {
  switch (message.kind) {
    case "message":
      receive(mirror, message.connection, message.bytes);
      break;
    case "clear":
      mirror.clear(message.generation);
      break;
    case "forget":
      mirror.forget();
      break;
    case "applied":
      underWay -= 1;
      returned.push([message.verticesWords, message.indicesWords]);
      break;
    case "pick": {
      const point = mirror.pick(message.origin, message.direction);
      if (point !== null) post({ kind: "picked", point });
    }
  }
}

function receive(mirror: Mirror, connection: number, bytes: ArrayBuffer): void {
  try {
    mirror.receive(connection, new Uint8Array(bytes));
  } catch (error) {
    post({ kind: "failed", connection, reason: String(error) });
  }
}

function tell(mirror: Mirror): void {
  while (mirror.hasNews && underWay < UPDATES_UNDER_WAY) {
    const update = mirror.take(...(returned.pop() ?? []));
    const { vertices, indices } = update;
    underWay += 1;
    post({ kind: "update", update }, [
      vertices.words, vertices.list.buffer, indices.words, indices.list.buffer,
    ]);
  }
}

/** `self` is typed as a window here: a worker's takes no origin. */
function post(message: FromMirror, transfer: Transferable[] = []): void {
  self.postMessage(message, { transfer });
}

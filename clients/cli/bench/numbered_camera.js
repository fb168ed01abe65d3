// SPDX-License-Identifier: Apache-2.0
// Stands where a page has its camera: a recording at 30 Hz, forth and back. Each picture bears its
// number, and the page keeps when it was taken.
(() => {
  const PERIOD_MS = 1000 / 30;
  // A macroblock of the codec; so near to the edge that a tracker takes no features from it.
  const BLOCK_PX = 16;
  const BITS = 16;

  const shutterMs = [];
  const nowMs = () => performance.timeOrigin + performance.now();
  window.numberedCamera = { shutterMs, nowMs };

  async function fetchPictures() {
    const pictures = [];
    for (;;) {
      const response = await fetch(`/bench-pictures/${pictures.length}`);
      if (!response.ok) return [...pictures, ...pictures.toReversed()];
      pictures.push(await response.blob());
    }
  }

  // White is 1, the lowest bit first; then a white and a black block, which show that it is one.
  function drawNumber(pen, number) {
    for (let i = 0; i < BITS + 2; i++) {
      const isWhite = i < BITS ? (number >> i) & 1 : i === BITS;
      pen.fillStyle = isWhite ? "white" : "black";
      pen.fillRect(i * BLOCK_PX, 0, BLOCK_PX, BLOCK_PX);
    }
  }

  // Pages in the background have slow timers, their workers do not.
  function everyPeriod(work) {
    const ticking = `setInterval(() => postMessage(0), ${PERIOD_MS})`;
    new Worker(URL.createObjectURL(new Blob([ticking]))).onmessage = work;
  }

  navigator.mediaDevices.getUserMedia = async () => {
    const pictures = await fetchPictures();
    let next = await createImageBitmap(pictures[0]);
    const canvas = Object.assign(document.createElement("canvas"), {
      width: next.width,
      height: next.height,
    });
    const pen = canvas.getContext("2d", { alpha: false, willReadFrequently: true });
    const stream = canvas.captureStream(0);
    const [track] = stream.getVideoTracks();
    everyPeriod(async () => {
      if (next === null) return; // not decoded yet: this picture is late
      const picture = next;
      next = null;
      pen.drawImage(picture, 0, 0);
      picture.close();
      drawNumber(pen, shutterMs.length);
      shutterMs.push(nowMs());
      track.requestFrame();
      next = await createImageBitmap(pictures[shutterMs.length % pictures.length]);
    });
    return stream;
  };
})();

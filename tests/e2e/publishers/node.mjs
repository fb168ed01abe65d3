// Publish a 640×480 Y4M file by WHIP from Node, again and again: PATH URL. SIGTERM ends it.
import fs from "node:fs";
import wrtc from "@roamhq/wrtc";
import { WHIPClient } from "whip-whep/whip.js";

const { RTCPeerConnection, RTCSessionDescription, MediaStream, RTCRtpSender } = wrtc;
Object.assign(globalThis, { RTCPeerConnection, RTCSessionDescription, MediaStream, RTCRtpSender });
const [path, url] = process.argv.slice(2);
const [width, height] = [640, 480];

const file = fs.openSync(path);
const head = Buffer.alloc(200);
fs.readSync(file, head, 0, head.length, 0);
const start = head.indexOf("\n") + 1;
const imageBytes = (width * height * 3) / 2;
const frameBytes = "FRAME\n".length + imageBytes;
const frames = Math.floor((fs.fstatSync(file).size - start) / frameBytes);

const source = new wrtc.nonstandard.RTCVideoSource();
const data = new Uint8ClampedArray(imageBytes);
let played = 0;
const timer = setInterval(() => {
  const at = start + (played++ % frames) * frameBytes + "FRAME\n".length;
  fs.readSync(file, data, 0, imageBytes, at);
  source.onFrame({ width, height, data });
}, 1000 / 30);

const peer = new RTCPeerConnection();
peer.addTransceiver(source.createTrack(), { direction: "sendonly" });
const client = new WHIPClient();
process.on("SIGTERM", async () => {
  clearInterval(timer);
  await client.stop();
  process.exit(0);
});
await client.publish(peer, url, "");

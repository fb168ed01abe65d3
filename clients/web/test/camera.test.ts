// SPDX-License-Identifier: Apache-2.0
import { expect, it } from "vitest";

import { shapeOf } from "../src/camera/capture";
import { best, exchange } from "../src/clock";
import { Control, type PublishStatus } from "../src/camera/control";
import { REAR, choicesOf, constraintsOf } from "../src/camera/devices";
import { phoneAccess, shownLink } from "../src/camera/link";
import { packed, sampleOf } from "../src/camera/motion";
import { cameraProblem, insecureProblem, serverProblem } from "../src/camera/problems";
import { bitrateBps, preferredCodecs, resourceUrl } from "../src/camera/sdp";
import { Refused, reasonOf } from "../src/camera/server";
import { Tally } from "../src/camera/tally";
import { addressOf, mapAddress, targetOf } from "../src/camera/target";
import { Steady, retryWords, statusWords } from "../src/camera/words";

const STATUS: PublishStatus = {
  session: "s", state: "active", reason: "", tracking: "tracking", guidance: "",
  frames: 10, fused: 5, dropped: 0, fps: 30, latency_ms: 20,
};

it("the bitrate follows the picture's size, within limits", () => {
  const sizes = [[320, 240], [640, 480], [1280, 720]] as const;
  const rates = sizes.map(([widthPx, heightPx]) => bitrateBps({ widthPx, heightPx }));
  expect(rates).toEqual([614_400, 2_457_600, 6_000_000]);
});

it("VP8 comes before H.264, and what no server decodes is left out", () => {
  const codecs = ["video/AV1", "video/H264", "video/rtx", "video/VP9", "video/VP8", "video/red"];
  const kept = preferredCodecs(codecs.map((mimeType) => ({ mimeType })));
  expect(kept.map(({ mimeType }) => mimeType)).toEqual(["video/VP8", "video/H264", "video/rtx"]);
});

it("a WHIP resource is found from a relative and an absolute Location", () => {
  const endpoint = "https://10.0.0.2:8430/v1/sessions/a/whip";
  expect(resourceUrl(endpoint, "/v1/sessions/a/whip/r")).toBe(`${endpoint}/r`);
  expect(resourceUrl(endpoint, "https://other/x")).toBe("https://other/x");
  expect(() => resourceUrl(endpoint, null)).toThrow("Location");
});

it("the server's reason is taken from JSON or text, not from a proxy's page", () => {
  expect(reasonOf('{"error":"no session"}')).toBe("no session");
  expect(reasonOf('{"detail":"not SDP"}')).toBe("not SDP");
  expect(reasonOf(" plain ")).toBe("plain");
  expect(reasonOf("<html>Bad gateway</html>")).toBe("");
});

it("the shortest exchange gives the clock's offset", () => {
  const exchanges = [exchange(100, 1130, 140), exchange(200, 1215, 210), exchange(300, 1390, 400)];
  expect(best(exchanges)).toEqual({ offsetMs: 1010, roundTripMs: 10 });
});

it("clocks are compared eight times, then the best is told; statuses pass through", () => {
  const sent: Record<string, unknown>[] = [];
  let nowMs = 0;
  const control = new Control((text) => sent.push(JSON.parse(text)), () => nowMs);
  control.start();
  for (let i = 0; i < 8; i++) {
    const sentMs = nowMs;
    nowMs += i === 3 ? 2 : 20; // the fourth is the fast one
    const serverMs = 5000 + (sentMs + nowMs) / 2 + (i === 3 ? 0 : 7);
    control.receive(JSON.stringify({ type: "clock", sent_ms: sentMs, server_ms: serverMs }));
  }
  control.stop();
  expect(sent.map((message) => message["type"])).toEqual([...Array(8).fill("clock"), "offset"]);
  expect(sent.at(-1)).toMatchObject({ offset_ms: 5000, round_trip_ms: 2 });
  const statuses: PublishStatus[] = [];
  control.statusChanged = (status) => statuses.push(status);
  control.receive(JSON.stringify({ type: "status", ...STATUS }));
  control.receive(JSON.stringify({ type: "news of a later version" }));
  expect(statuses).toHaveLength(1);
});

const motionEvent = {
  accelerationIncludingGravity: { x: 1, y: 2, z: 9.8 },
  rotationRate: { alpha: 180, beta: 0, gamma: -90 },
  timeStamp: 250,
};

it("device motion becomes m/s² and rad/s on the page's clock, gravity alike everywhere", () => {
  const sample = sampleOf(motionEvent, 1000, 1);
  expect(sample).toMatchObject({ tMs: 1250, accelerationMps2: [1, 2, 9.8] });
  expect(sample?.rotationRadps.map((value) => value.toFixed(4))).toEqual([
    "3.1416", "0.0000", "-1.5708",
  ]);
  expect(sampleOf(motionEvent, 1000, -1)?.accelerationMps2).toEqual([-1, -2, -9.8]);
  expect(sampleOf({ ...motionEvent, rotationRate: null }, 0, 1)).toBeNull();
  const laptop = { x: null, y: null, z: null };
  expect(sampleOf({ ...motionEvent, accelerationIncludingGravity: laptop }, 0, 1)).toBeNull();
});

it("a sample travels as seven little-endian doubles", () => {
  const bytes = packed({ tMs: 1.5, accelerationMps2: [1, 2, 3], rotationRadps: [4, 5, 6] });
  const view = new DataView(bytes);
  const values = Array.from({ length: 7 }, (_, i) => view.getFloat64(8 * i, true));
  expect([bytes.byteLength, ...values]).toEqual([56, 1.5, 1, 2, 3, 4, 5, 6]);
});

it("the picker offers directions before permission and devices after", () => {
  const device = (deviceId: string, label: string, kind = "videoinput"): MediaDeviceInfo =>
    ({ deviceId, label, kind, groupId: "", toJSON: () => ({}) }) as MediaDeviceInfo;
  expect(choicesOf([device("", "")]).map(({ value }) => value)).toEqual(["environment", "user"]);
  const laptop = [device("a", "HD Webcam (0c45:6366)"), device("m", "Mic", "audioinput")];
  expect(choicesOf(laptop)).toEqual([{ value: "a", label: "HD Webcam" }]);
  const phone = choicesOf([device("b", "back"), device("f", "")]);
  expect(phone.map(({ label }) => label)).toEqual(["Rear camera", "back", "Camera 2"]);
});

it("a direction is a wish and a device is exact", () => {
  const size = { widthPx: 640, heightPx: 480 };
  expect(constraintsOf(REAR, size).video).toMatchObject({ facingMode: { ideal: "environment" } });
  expect(constraintsOf("id", size).video).toMatchObject({ deviceId: { exact: "id" } });
});

it("every problem says what to do", () => {
  const http = insecureProblem({ host: "10.0.0.2:8430", protocol: "http:" });
  expect(http.command).toContain("--tls auto");
  expect(insecureProblem({ host: "h", protocol: "https:" }).command).toBeUndefined();
  const named = (name: string): string => cameraProblem(new DOMException("why", name)).title;
  expect(named("NotAllowedError")).toContain("not allowed");
  expect(named("NotFoundError")).toContain("No camera");
  expect(named("NotReadableError")).toContain("in use");
  expect(cameraProblem("odd")).toMatchObject({ detail: "odd", remedy: "retry" });
  const remedies = [401, 403, 404, 409, 503, 500].map(
    (status) => serverProblem(new Refused(status, "its reason")).remedy,
  );
  expect(remedies).toEqual(["none", "none", "new session", "retry", "retry", "retry"]);
  expect(serverProblem(new Refused(403, "its reason")).detail).toBe("its reason");
  expect(serverProblem(new TypeError("fetch failed")).title).toContain("cannot be reached");
});

it("tracking is told in words, with the server's guidance first", () => {
  expect(statusWords(STATUS)).toMatchObject({ text: "Mapping", tone: "good", icon: "check" });
  const slower = statusWords({ ...STATUS, guidance: "move slower." });
  expect(slower).toMatchObject({ text: "Move slower", tone: "busy", icon: "alert" });
  const lost = { ...STATUS, tracking: "TRACKING_STATE_LOST" };
  expect(statusWords(lost).tone).toBe("bad");
  expect(statusWords({ ...lost, guidance: "show a mapped place" })).toMatchObject({
    text: "Show a mapped place", tone: "bad",
  });
  expect(statusWords({ ...STATUS, state: "paused" }).icon).toBe("pause");
  const start = { ...STATUS, tracking: "unspecified" };
  expect(statusWords(start).text).toContain("getting ready");
  expect(statusWords({ ...start, frames: 0 }).text).toContain("Waiting");
  const two = "The camera sees nothing. Is it covered?";
  expect(statusWords({ ...STATUS, guidance: two }).text).toBe(two);
  expect(retryWords("the network dropped").text).toBe("The network dropped. Trying again…");
});

it("words stay long enough to be read", () => {
  const steady = new Steady(1000);
  const mapping = statusWords(STATUS);
  const lost = statusWords({ ...STATUS, tracking: "lost" });
  expect(steady.show(mapping, 0)).toBe(mapping);
  expect(steady.show(lost, 400)).toBe(mapping);
  expect(steady.show(lost, 1100)).toBe(lost);
});

it("addresses carry tokens in their fragment only", () => {
  const target = { session: "a b", token: "t+k" };
  const address = addressOf(target);
  expect(address).toBe("?session=a+b#token=t%2Bk");
  const [search = "", hash = ""] = address.split("#");
  expect(targetOf({ search, hash: `#${hash}` })).toEqual(target);
  expect(targetOf({ search: "", hash: "" })).toEqual({ session: null, token: null });
  expect(mapAddress(target, true)).toBe("./?session=a+b#token=t%2Bk&embed=1");
  expect(mapAddress({ session: "a", token: null }, false)).toBe("./?session=a");
});

it("a phone needs https from the network, or is told why not", () => {
  const local = { origin: "http://localhost:8430", hostname: "localhost" };
  expect(phoneAccess([], local)).toEqual({ kind: "loopback" });
  expect(phoneAccess([], { origin: "http://[::1]:1", hostname: "[::1]" }).kind).toBe("loopback");
  expect(phoneAccess(["http://10.0.0.2:8430"], local)).toEqual({ kind: "insecure" });
  const lan = ["https://10.0.0.2:8430", "https://[fd00::2]:8430/"];
  expect(phoneAccess(lan, local)).toEqual({
    kind: "ready", origins: ["https://10.0.0.2:8430", "https://[fd00::2]:8430"],
  });
  const proxied = { origin: "https://maps.example", hostname: "maps.example" };
  expect(phoneAccess([], proxied)).toEqual({ kind: "ready", origins: ["https://maps.example"] });
  const same = { origin: "https://[fd00::2]:8430", hostname: "[fd00::2]" };
  expect(phoneAccess(lan, same)).toEqual({
    kind: "ready", origins: ["https://[fd00::2]:8430", "https://10.0.0.2:8430"],
  });
  expect(shownLink("https://h/camera.html?s#token=t")).toBe("https://h/camera.html?s");
});

it("pictures by WebSocket are counted like those by WebRTC", () => {
  const tally = new Tally("s");
  const progress = { type: "progress", reason: "", tracking: "tracking", latency_ms: 9 } as const;
  expect(tally.take({ type: "opened", session: "s" }, 0)).toBeNull();
  tally.take({ ...progress, status: "fused" }, 0);
  tally.take({ type: "partial_result", frames: 20, fused: 12, dropped: 3 }, 100);
  tally.take({ ...progress, status: "dropped" }, 1500);
  const status = tally.take({ ...progress, status: "fused" }, 2100);
  expect(status).toMatchObject({ frames: 22, fused: 13, dropped: 4, fps: 1, latency_ms: 9 });
  const refused = tally.take({ ...progress, status: "rejected", reason: "size" }, 2200);
  expect(refused?.guidance).toContain("size");
});

it("the shape of a picture", () => {
  expect([shapeOf(480, 640), shapeOf(640, 480)]).toEqual(["upright", "sideways"]);
});

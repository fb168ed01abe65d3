// SPDX-License-Identifier: Apache-2.0
import { expect, it } from "vitest";

import { Latency } from "../src/latency";
import { Meter } from "../src/meter";
import { agoWords } from "../src/status";
import { tokenFromPasted, tokenOf } from "../src/token";
import { lengthWords, sceneScale } from "../src/units";

it("latency is measured once a frame, and only of clocks that can be compared", () => {
  const latency = new Latency();
  const capture = 1_763_000_000_000_000_000n;
  const captureMs = Number(capture / 1_000_000n);
  const subscribedMs = 3_600_000;
  latency.shown(capture, captureMs + 120, subscribedMs);
  latency.shown(capture, captureMs + 900, subscribedMs); // the same frame, drawn again
  latency.shown(5_000_000n, captureMs, subscribedMs); // a recording that counts from zero
  latency.shown(capture + 1n, null, subscribedMs);
  expect(latency.meter.quantiles()).toEqual({ samples: 1, p50: 120, p95: 120 });
});

it("what was captured before the subscription has no latency", () => {
  const latency = new Latency();
  const capture = 1_763_000_000_000_000_000n;
  const captureMs = Number(capture / 1_000_000n);
  latency.shown(capture, captureMs + 20_000, 300); // an idle session's last frame
  expect(latency.meter.quantiles().samples).toBe(0);
  latency.shown(capture + 20_000_000_000n, captureMs + 20_090, 390);
  expect(latency.meter.quantiles()).toEqual({ samples: 1, p50: 90, p95: 90 });
});

it("a meter keeps the latest values", () => {
  const meter = new Meter(4);
  expect([meter.latest, meter.quantiles().p50]).toEqual([NaN, NaN]);
  for (const value of [100, 1, 4, 2, 3]) meter.add(value);
  expect([meter.latest, meter.quantiles()]).toEqual([3, { samples: 4, p50: 2, p95: 4 }]);
});

it("tokens are found behind the #, and in what is pasted", () => {
  expect(tokenOf("#token=a%2Bb&embed=1")).toBe("a+b");
  expect(tokenOf("")).toBe("");
  expect(tokenFromPasted(" https://host:8430/?session=x#token=abc ")).toBe("abc");
  expect(tokenFromPasted("abc")).toBe("abc");
  expect(tokenFromPasted("https://host/#nothing")).toBe("");
});

it("lengths without scale are not called metres", () => {
  expect(lengthWords(1.23456, "m")).toBe("1.23 m");
  expect(lengthWords(-0.5, "unscaled")).toBe("-0.5 units");
  expect([sceneScale("m", 900), sceneScale("unscaled", 6), sceneScale("unscaled", 0.7)]).toEqual([
    1, 1, 0.125,
  ]);
});

it("the time since the last change is short", () => {
  expect([340, 12_000, 400_000, 9e6].map(agoWords)).toEqual([
    "0.3 s ago", "12 s ago", "7 min ago", "3 h ago",
  ]);
});

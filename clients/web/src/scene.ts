// SPDX-License-Identifier: Apache-2.0
/** The picture: renderer, frame loop, and what is in the scene. Draws only when something moved. */
import * as THREE from "three";

import { Cameras } from "./cameras";
import { Grid } from "./grid";
import { Meter, ownMs } from "./meter";
import type { Update } from "./mirror";
import { Path } from "./path";
import { Regions } from "./regions";
import { type Shading, SurfaceMaterial } from "./shading";
import { sceneScale } from "./units";
import { type Subject, View } from "./view";

const BACKGROUND = 0x11151a;
/** A picture that takes longer leaves the machine twice its time for other work, within limits. */
const SLOW_PICTURE_MS = 50;
const LONGEST_REST_MS = 600;
/** What it leaves for later: a path that grew, while the map is as it was drawn. */
const PATH_REST_MS = 1000;

export const LAYERS = ["mesh", "path", "cameras", "grid"] as const;
export type Layer = (typeof LAYERS)[number];

// Colours of a map are what a camera saw, sRGB bytes, and nothing is lit: they go to the screen
// as they are. three.js would otherwise take vertex colours as linear and wash them out.
THREE.ColorManagement.enabled = false;

export class Scene {
  readonly view: View;
  /** Main-thread time of each drawn frame, ms. */
  readonly frameMs = new Meter();
  /** Called when the frame with this capture time has come to the screen. */
  shown: (captureNs: bigint) => void = () => {};
  /** Called when the GPU has lost what it had. */
  lost: () => void = () => {};
  readonly #renderer: THREE.WebGLRenderer;
  readonly #scene = new THREE.Scene();
  readonly #material = new SurfaceMaterial();
  readonly #regions: Regions;
  readonly #path = new Path();
  readonly #cameras = new Cameras();
  readonly #grid = new Grid();
  readonly #layers: Record<Layer, THREE.Object3D>;
  readonly #subject: Subject = { spread: null, first: undefined, newest: undefined, scale: 1 };
  /** Of the newest frame that was applied, and that was drawn, and is not `shown` yet. */
  #appliedNs: bigint | null = null;
  #drawnNs: bigint | null = null;
  #stale = true;
  /** Whether more than the path is stale. */
  #isUrgent = true;
  /** Whether what a correction moved is on its way. */
  #isGliding = false;
  #lastMs = performance.now();
  readonly #reducedMotion = window.matchMedia("(prefers-reduced-motion: reduce)");
  #drawnAtMs = 0;
  #pictureMs = 0;

  /** Throws when the browser has no WebGL 2. */
  constructor(canvas: HTMLCanvasElement) {
    this.#renderer = new THREE.WebGLRenderer({ canvas, antialias: true });
    this.#renderer.outputColorSpace = THREE.LinearSRGBColorSpace;
    this.#renderer.setPixelRatio(Math.min(2, window.devicePixelRatio));
    this.#scene.background = new THREE.Color(BACKGROUND);
    const gl = this.#renderer.getContext() as WebGL2RenderingContext;
    this.#regions = new Regions(gl, this.#material);
    this.#layers = {
      mesh: this.#regions.group,
      path: this.#path.group,
      cameras: this.#cameras.lines,
      grid: this.#grid.group,
    };
    this.#scene.add(...Object.values(this.#layers));
    this.view = new View(canvas);
    this.view.controls.addEventListener("change", () => this.invalidate());
    canvas.addEventListener("webglcontextlost", () => this.#regions.clear());
    canvas.addEventListener("webglcontextrestored", () => this.#restore());
    new ResizeObserver(() => this.#resize()).observe(canvas);
    this.#resize();
    this.#renderer.setAnimationLoop((nowMs) => this.#frame(nowMs));
  }

  /** Where the viewer's eye is, in the map's units. */
  get viewpoint(): readonly [number, number, number] {
    return this.view.camera.position.toArray();
  }

  /** Whether the picture shows all that was applied. */
  get settled(): boolean {
    return !this.#stale && !this.#isGliding;
  }

  get drawCalls(): number {
    return this.#renderer.info.render.calls;
  }

  /** Triangles that the last picture was asked to draw: those in sight. */
  get drawnTriangles(): number {
    return this.#renderer.info.render.triangles;
  }

  set shading(shading: Shading) {
    this.#material.shading = shading;
    this.invalidate();
  }

  isShown(layer: Layer): boolean {
    return this.#layers[layer].visible;
  }

  show(layer: Layer, isShown: boolean): void {
    this.#layers[layer].visible = isShown;
    this.invalidate();
  }

  /** Draw again with the next animation frame. */
  invalidate(): void {
    this.#stale = this.#isUrgent = true;
  }

  apply(update: Update): void {
    const { spread, units } = update.summary;
    this.#regions.apply(update);
    this.#subject.spread = spread;
    if (update.trajectory !== null) {
      const { first, newest, keyframes } = update.trajectory;
      this.#subject.first = first;
      this.#subject.newest = newest;
      this.#path.apply(update.trajectory);
      if (keyframes !== null) this.#cameras.apply(keyframes);
    }
    if (spread !== null) {
      const { low, high } = spread;
      const scale = sceneScale(units, Math.hypot(...high.map((edge, i) => edge - low[i])));
      this.#subject.scale = this.#path.scale = this.#cameras.scale = scale;
      this.#material.setHeights(low[2], high[2]);
      this.#grid.place((low[0] + high[0]) / 2, (low[1] + high[1]) / 2, low[2], scale);
    }
    this.#appliedNs = update.captureNs ?? this.#appliedNs;
    if (update.regions.length > 0 || update.trajectory !== null) this.invalidate();
  }

  clear(): void {
    this.#regions.clear();
    this.#path.clear();
    this.#cameras.clear();
    this.#grid.clear();
    this.#subject.spread = null;
    this.#subject.first = this.#subject.newest = undefined;
    this.#appliedNs = this.#drawnNs = null;
    this.view.reset();
    this.invalidate();
  }

  /** Turn around a point from now on. */
  focus(point: readonly [number, number, number]): void {
    this.view.focus(new THREE.Vector3(...point));
    this.invalidate();
  }

  /** A ray from the eye through a point of the canvas, in CSS pixels. */
  ray(xPx: number, yPx: number): THREE.Ray {
    const { clientWidth, clientHeight } = this.#renderer.domElement;
    const pointer = new THREE.Vector2((2 * xPx) / clientWidth - 1, 1 - (2 * yPx) / clientHeight);
    const caster = new THREE.Raycaster();
    caster.setFromCamera(pointer, this.view.camera);
    return caster.ray;
  }

  #frame(nowMs: number): void {
    const startMs = ownMs();
    if (this.#drawnNs !== null) this.#tellShown(this.#drawnNs);
    const elapsedS = Math.min(0.1, (nowMs - this.#lastMs) / 1000);
    if (this.#drawnAtMs === this.#lastMs) this.#pictureMs = nowMs - this.#drawnAtMs;
    this.#lastMs = nowMs;
    this.#glide(this.#reducedMotion.matches ? Infinity : elapsedS);
    const isMoved = this.view.update(this.#subject, elapsedS);
    if (isMoved) this.invalidate();
    const isByHand = isMoved && this.view.mode !== "follow" && !this.view.isFitting;
    if (!this.#stale || !(isByHand || this.#isRested(nowMs))) return;
    this.#draw(nowMs);
    this.frameMs.add(ownMs() - startMs);
  }

  /** What a correction moved goes on to its place. */
  #glide(elapsedS: number): void {
    const isPathMoved = this.#path.advance(elapsedS);
    this.#isGliding = this.#cameras.advance(elapsedS) || isPathMoved;
    if (this.#isGliding) this.invalidate();
  }

  /** A slow renderer must not starve the messages: it would show old states at leisure. */
  #isRested(nowMs: number): boolean {
    if (this.#pictureMs < SLOW_PICTURE_MS) return true;
    const slowMs = Math.min(LONGEST_REST_MS, 2 * this.#pictureMs);
    const restMs = this.#isUrgent ? slowMs : PATH_REST_MS;
    return nowMs - this.#drawnAtMs >= this.#pictureMs + restMs;
  }

  #draw(nowMs: number): void {
    this.#stale = this.#isUrgent = false;
    this.#drawnAtMs = nowMs;
    this.#drawnNs = this.#appliedNs;
    this.#appliedNs = null;
    this.#renderer.render(this.#scene, this.view.camera);
  }

  /** The animation frame after a drawing begins when that drawing is on its way to the screen. */
  #tellShown(captureNs: bigint): void {
    this.#drawnNs = null;
    this.shown(captureNs);
  }

  /** three.js comes back by itself; the buffers it does not know of are asked for again. */
  #restore(): void {
    this.#regions.clear();
    this.lost();
  }

  #resize(): void {
    const { clientWidth, clientHeight } = this.#renderer.domElement;
    if (clientWidth === 0 || clientHeight === 0) return;
    this.#renderer.setSize(clientWidth, clientHeight, false);
    this.view.camera.aspect = clientWidth / clientHeight;
    this.view.camera.updateProjectionMatrix();
    this.invalidate();
  }
}

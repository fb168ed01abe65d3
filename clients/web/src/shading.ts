// SPDX-License-Identifier: Apache-2.0
/** How the surface is painted: what the cameras saw, which way it faces, how high it lies. */
import * as THREE from "three";

export const SHADINGS = ["color", "normal", "height"] as const;
export type Shading = (typeof SHADINGS)[number];

/** From low to high, sRGB; the legend shows the same. */
export const HEIGHT_COLORS = ["#3b4cc0", "#3f8fd2", "#4bc7b3", "#b7d968", "#f5b04c", "#d6493b"];

const VERTEX = /* glsl */ `
  in uvec2 corner;
  out vec3 vertexColor;
  out vec3 world;

  void main() {
    uvec3 steps = uvec3(
      corner.x & 8191u,
      (corner.x >> 13u) & 8191u,
      (corner.x >> 26u) | ((corner.y & 127u) << 6u)
    );
    uvec3 rgb = (uvec3(corner.y) >> uvec3(7u, 15u, 23u)) & 255u;
    vertexColor = vec3(rgb) / 255.0;
    vec4 position = modelMatrix * vec4(vec3(steps), 1.0);
    world = position.xyz;
    gl_Position = projectionMatrix * viewMatrix * position;
  }
`;

const FRAGMENT = /* glsl */ `
  uniform int shading;
  uniform vec2 heights;
  uniform vec3 ramp[${HEIGHT_COLORS.length}];
  in vec3 vertexColor;
  in vec3 world;
  out vec4 color;

  vec3 heightColor() {
    float at = clamp((world.z - heights.x) / max(1e-6, heights.y - heights.x), 0.0, 1.0);
    float scaled = at * float(${HEIGHT_COLORS.length - 1});
    int below = min(int(scaled), ${HEIGHT_COLORS.length - 2});
    return mix(ramp[below], ramp[below + 1], scaled - float(below));
  }

  void main() {
    if (shading == 0) {
      color = vec4(vertexColor, 1.0);
      return;
    }
    // The triangle's own: from how the position changes across the screen.
    vec3 normal = normalize(cross(dFdx(world), dFdy(world)));
    float facing = abs(dot(normal, normalize(cameraPosition - world)));
    vec3 painted = shading == 1 ? 0.5 + 0.5 * normal : heightColor();
    color = vec4(painted * (0.5 + 0.5 * facing), 1.0);
  }
`;

export class SurfaceMaterial extends THREE.ShaderMaterial {
  constructor() {
    super({
      glslVersion: THREE.GLSL3,
      vertexShader: VERTEX,
      fragmentShader: FRAGMENT,
      // Triangles face free space, so culling their backs opens rooms to a look from outside.
      side: THREE.FrontSide,
      uniforms: {
        shading: { value: 0 },
        heights: { value: new THREE.Vector2(0, 1) },
        ramp: { value: HEIGHT_COLORS.map((color) => new THREE.Color(color)) },
      },
    });
  }

  set shading(shading: Shading) {
    this.uniforms["shading"].value = SHADINGS.indexOf(shading);
  }

  setHeights(low: number, high: number): void {
    (this.uniforms["heights"].value as THREE.Vector2).set(low, high);
  }
}

/** The path of the tool, coloured by what the gripper is told, and where on it the tool is. */

import * as THREE from "three";
import { rotationOf } from "./solids.js";

export const OPEN = 0x0b7285;
export const CLOSED = 0xe8590c;

export class ToolPath {
  #positions;
  #rotations;
  #marker = new THREE.Group();

  /** @param {any} trajectory as the API answers it; its rotations may be unknown */
  constructor(trajectory) {
    this.object = new THREE.Group();
    this.#positions = trajectory.ee_position.map((point) => new THREE.Vector3(...point));
    this.#rotations = trajectory.ee_rotation_6d?.map(rotationOf) ?? null;
    const colors = trajectory.gripper.flatMap((command) => new THREE.Color(command > 0 ? CLOSED : OPEN).toArray());
    const line = new THREE.BufferGeometry().setFromPoints(this.#positions);
    line.setAttribute("color", new THREE.Float32BufferAttribute(colors, 3));
    this.#marker.add(new THREE.AxesHelper(0.1), new THREE.Mesh(new THREE.SphereGeometry(0.009, 16, 12), new THREE.MeshBasicMaterial({ color: OPEN })));
    this.object.add(
      new THREE.Line(line, new THREE.LineBasicMaterial({ vertexColors: true })),
      new THREE.Points(line, new THREE.PointsMaterial({ vertexColors: true, size: 4, sizeAttenuation: false })),
      this.#marker);
    this.#marker.children[0].visible = this.#rotations !== null;
    this.gripper = trajectory.gripper;
  }

  /** Has its line drawn over the arm, not behind it. */
  seeThrough() {
    this.object.renderOrder = 1;
    for (const { material } of this.object.children) if (material) material.depthTest = false;
  }

  /** Where the tool is at a time. @param {number} sample may lie between two */
  at(sample) {
    const [from, to, share] = around(sample, this.#positions.length);
    return this.#positions[from].clone().lerp(this.#positions[to], share);
  }

  /** Moves the marker. @param {number} sample */
  move(sample) {
    const [from, to, share] = around(sample, this.#positions.length);
    this.#marker.position.copy(this.at(sample));
    if (this.#rotations) this.#marker.quaternion.slerpQuaternions(this.#rotations[from], this.#rotations[to], share);
    this.#marker.children[1].material.color.set(this.gripper[from] > 0 ? CLOSED : OPEN);
  }
}

/** The samples before and after, and how far between them. @param {number} sample @param {number} length @returns {[number, number, number]} */
export function around(sample, length) {
  const from = Math.min(Math.max(Math.floor(sample), 0), length - 1);
  return [from, Math.min(from + 1, length - 1), sample - from];
}

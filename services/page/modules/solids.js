/** What a request says of space, drawn: its box, cone and poses, and what the arm stays out of. */

import * as THREE from "three";

const TARGET = 0x1c7ed6;
const FORBIDDEN = 0xe03131;
const PLANE_M = 1.6;
const SHOWN_POSES = 200;

/**
 * A drawing of a request's workspace and keep-outs. What is not written properly yet is left out.
 * @param {Record<string, any>} request @returns {THREE.Group}
 */
export function drawRequest(request) {
  const group = new THREE.Group();
  const workspace = request.workspace ?? {};
  if (workspace.kind === "box" && isBox(workspace)) {
    group.add(box(workspace, TARGET, 0.12));
    const cone = workspace.orientation ?? {};
    group.add(directions(workspace, cone.axis ?? [0, 0, -1], cone.angle_deg ?? 30));
  }
  for (const listed of workspace.kind === "poses" && Array.isArray(workspace.poses) ? workspace.poses.slice(0, SHOWN_POSES) : []) {
    const axes = pose(listed);
    if (axes) group.add(axes);
  }
  for (const solid of Array.isArray(request.keep_out) ? request.keep_out : []) {
    if (solid?.kind === "box" && isBox(solid)) group.add(box(solid, FORBIDDEN, 0.22));
    if (solid?.kind === "half_space" && isPoint(solid.normal) && Number.isFinite(solid.offset)) group.add(plane(solid));
  }
  return group;
}

const isPoint = (value) => Array.isArray(value) && value.length === 3 && value.every(Number.isFinite);
const isBox = ({ min, max }) => isPoint(min) && isPoint(max) && min.every((low, axis) => low < max[axis]);

/** A box that can be seen through. @param {{min: number[], max: number[]}} corners @param {number} color @param {number} opacity */
export function box({ min, max }, color, opacity) {
  const size = min.map((low, axis) => max[axis] - low);
  const geometry = new THREE.BoxGeometry(...size);
  const group = new THREE.Group();
  group.add(
    new THREE.Mesh(geometry, glass(color, opacity)),
    new THREE.LineSegments(new THREE.EdgesGeometry(geometry), new THREE.LineBasicMaterial({ color })));
  group.position.set(...min.map((low, axis) => low + size[axis] / 2));
  return group;
}

/** The directions in which the tool may point: a cap of a sphere about the middle of the box. */
function directions({ min, max }, axis, degrees) {
  const group = new THREE.Group();
  if (!isPoint(axis) || !Number.isFinite(degrees) || Math.hypot(...axis) < 1e-6) return group;
  const angle = THREE.MathUtils.degToRad(Math.min(Math.max(degrees, 0), 180));
  const radius = Math.min(0.25, Math.max(0.08, 0.5 * Math.min(...min.map((low, index) => max[index] - low))));
  const cap = new THREE.Mesh(new THREE.SphereGeometry(radius, 48, 24, 0, 2 * Math.PI, 0, Math.max(angle, 0.01)), glass(TARGET, 0.35));
  const rays = Array.from({ length: 12 }, (_, index) => {
    const turn = (index / 12) * 2 * Math.PI;
    return [0, 0, 0, radius * Math.sin(angle) * Math.cos(turn), radius * Math.cos(angle), radius * Math.sin(angle) * Math.sin(turn)];
  });
  const lines = new THREE.BufferGeometry().setAttribute("position", new THREE.Float32BufferAttribute(rays.flat(), 3));
  cap.add(new THREE.LineSegments(lines, new THREE.LineBasicMaterial({ color: TARGET, transparent: true, opacity: 0.5 })));
  const along = new THREE.Vector3(...axis).normalize();
  cap.quaternion.setFromUnitVectors(new THREE.Vector3(0, 1, 0), along);
  group.add(cap, new THREE.ArrowHelper(along, new THREE.Vector3(), 1.25 * radius, TARGET, 0.03, 0.02));
  group.position.set(...min.map((low, index) => (low + max[index]) / 2));
  return group;
}

function pose(listed) {
  const { position, quat_xyzw: quat, rotation_6d: rows } = listed ?? {};
  if (!isPoint(position)) return null;
  const axes = new THREE.AxesHelper(0.08);
  axes.position.set(...position);
  if (Array.isArray(quat) && quat.length === 4 && quat.every(Number.isFinite)) axes.quaternion.set(...quat).normalize();
  if (Array.isArray(rows) && rows.length === 6 && rows.every(Number.isFinite)) axes.quaternion.copy(rotationOf(rows));
  return axes;
}

/** The rotation whose matrix has these first two rows. @param {number[]} rows */
export function rotationOf(rows) {
  const [a, b] = [new THREE.Vector3(...rows.slice(0, 3)), new THREE.Vector3(...rows.slice(3, 6))];
  const c = a.clone().cross(b);
  return new THREE.Quaternion().setFromRotationMatrix(new THREE.Matrix4().makeBasis(a, b, c).transpose());
}

function plane({ normal, offset }) {
  const group = new THREE.Group();
  const up = new THREE.Vector3(...normal);
  if (up.length() < 1e-6) return group;
  up.normalize();
  const sheet = new THREE.Mesh(new THREE.PlaneGeometry(PLANE_M, PLANE_M), glass(FORBIDDEN, 0.14));
  const rim = new THREE.LineSegments(new THREE.EdgesGeometry(sheet.geometry), new THREE.LineBasicMaterial({ color: FORBIDDEN }));
  group.add(sheet, rim);
  group.quaternion.setFromUnitVectors(new THREE.Vector3(0, 0, 1), up);
  group.position.copy(up).multiplyScalar(offset);
  return group;
}

function glass(color, opacity) {
  return new THREE.MeshBasicMaterial({ color, transparent: true, opacity, depthWrite: false, side: THREE.DoubleSide });
}

/** The stage: camera, light and floor. Things stand on it in layers; it is drawn again only when something changed. */

import * as THREE from "three";
import { OrbitControls } from "three/examples/jsm/controls/OrbitControls.js";

const VIEWS = { corner: [1, -1, 0.7], front: [1, 0, 0.12], side: [0, -1, 0.12], top: [0.001, 0, 1] };
const REACH = 1.1;

THREE.Object3D.DEFAULT_UP.set(0, 0, 1);

export class Stage {
  #renderer;
  #scene = new THREE.Scene();
  #camera = new THREE.PerspectiveCamera(40, 1, 0.01, 50);
  #controls;
  #layers = new Map();
  #frame = 0;
  #closing = new AbortController();
  #observer;
  #dark = window.matchMedia("(prefers-color-scheme: dark)");

  /** Throws if the browser has no WebGL. @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.#renderer = new THREE.WebGLRenderer({ canvas, antialias: true });
    this.#renderer.setPixelRatio(Math.min(window.devicePixelRatio, 2));
    this.#controls = new OrbitControls(this.#camera, canvas);
    this.#controls.addEventListener("change", () => this.changed());
    const sky = new THREE.HemisphereLight(0xffffff, 0x8d8d8d, 2.2);
    const sun = new THREE.DirectionalLight(0xffffff, 1.6);
    sun.position.set(2, -3, 4);
    this.#scene.add(sky, sun);
    this.#dark.addEventListener("change", () => this.#paint(), { signal: this.#closing.signal });
    this.#paint();
    this.#observer = new ResizeObserver(() => this.#resize());
    this.#observer.observe(canvas);
    this.view("corner");
  }

  /** Puts an object on the stage in place of the layer's last one; null takes it off. @param {string} name @param {THREE.Object3D | null} object */
  put(name, object) {
    const last = this.#layers.get(name);
    if (last === object) return;
    if (last) {
      this.#scene.remove(last);
      dispose(last);
    }
    if (object) this.#scene.add(object);
    this.#layers.set(name, object);
    this.changed();
  }

  /** Has it drawn again. */
  changed() {
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      this.#renderer.render(this.#scene, this.#camera);
    });
  }

  /** Looks from a named side. @param {string} name */
  view(name) {
    const target = this.#middle();
    const direction = new THREE.Vector3(...VIEWS[name]).normalize();
    this.#camera.position.copy(target).addScaledVector(direction, 3.1 * this.#size());
    this.#controls.target.copy(target);
    this.#controls.update();
    this.changed();
  }

  /** Comes near the tool's path and what belongs to it, from the side from which it looks. */
  near() {
    const box = new THREE.Box3();
    for (const name of ["path", "lines", "objects"]) if (this.#layers.get(name)) box.expandByObject(this.#layers.get(name));
    if (box.isEmpty()) return;
    const arm = this.#camera.position.clone().sub(this.#controls.target).setLength(1.6 * Math.max(box.getSize(new THREE.Vector3()).length(), 0.1));
    box.getCenter(this.#controls.target);
    this.#camera.position.copy(this.#controls.target).add(arm);
    this.#controls.update();
    this.changed();
  }

  /** Turns about the middle, or comes nearer. @param {number} azimuth [rad] @param {number} polar [rad] @param {number} nearer factor */
  turn(azimuth, polar, nearer = 1) {
    const arm = this.#camera.position.clone().sub(this.#controls.target);
    const around = new THREE.Spherical().setFromVector3(new THREE.Vector3(arm.y, arm.z, arm.x));
    around.theta += azimuth;
    around.phi = Math.min(Math.max(around.phi + polar, 0.01), Math.PI - 0.01);
    around.radius /= nearer;
    const turned = new THREE.Vector3().setFromSpherical(around);
    this.#camera.position.copy(this.#controls.target).add(new THREE.Vector3(turned.z, turned.x, turned.y));
    this.#controls.update();
    this.changed();
  }

  /** Gives back what it holds of the graphics card. */
  close() {
    this.#closing.abort();
    this.#observer.disconnect();
    cancelAnimationFrame(this.#frame);
    this.#frame = -1;
    for (const object of this.#layers.values()) if (object) dispose(object);
    this.#controls.dispose();
    this.#renderer.dispose();
    this.#renderer.forceContextLoss();
  }

  /** Around the robot and the objects that it moves. */
  #box() {
    const robot = this.#layers.get("robot");
    const box = robot ? new THREE.Box3().setFromObject(robot) : new THREE.Box3();
    if (box.isEmpty()) box.set(new THREE.Vector3(-0.4, -0.4, 0), new THREE.Vector3(0.4, 0.4, 0.8));
    const objects = this.#layers.get("objects");
    return objects ? box.expandByObject(objects) : box;
  }

  #middle() {
    return this.#box().getCenter(new THREE.Vector3());
  }

  #size() {
    return Math.min(Math.max(this.#box().getSize(new THREE.Vector3()).length() / 1.6, 0.2), 2) * REACH;
  }

  #paint() {
    const dark = this.#dark.matches;
    this.#scene.background = new THREE.Color(dark ? 0x191d21 : 0xeef1f3);
    const grid = new THREE.GridHelper(4, 20, dark ? 0x55606a : 0x9aa5ae, dark ? 0x2b3238 : 0xd3d9de);
    grid.rotation.x = Math.PI / 2;
    this.put("floor", grid);
    this.changed();
  }

  #resize() {
    const { clientWidth: width, clientHeight: height } = this.#renderer.domElement;
    if (!width || !height) return;
    this.#renderer.setSize(width, height, false);
    this.#camera.aspect = width / height;
    this.#camera.updateProjectionMatrix();
    // At once: a canvas that was resized is empty.
    this.#renderer.render(this.#scene, this.#camera);
  }
}

function dispose(object) {
  object.traverse((part) => {
    part.geometry?.dispose();
    for (const material of [part.material ?? []].flat()) {
      material.map?.dispose();
      material.dispose();
    }
  });
}

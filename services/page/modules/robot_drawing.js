/** An arm drawn from its URDF: its meshes where they are to be had, else lines from joint to joint. */

import * as THREE from "three";
import { ColladaLoader } from "three/examples/jsm/loaders/ColladaLoader.js";
import { STLLoader } from "three/examples/jsm/loaders/STLLoader.js";
import URDFLoader from "urdf-loader";

const WHITE = "data:image/gif;base64,R0lGODlhAQABAIAAAP///////yH5BAAAAAAALAAAAAABAAEAAAICRAEAOw==";

/** What is loaded: meshes' textures are left out, and take no call. */
const manager = new THREE.LoadingManager();
manager.setURLModifier(() => WHITE);

/** Drawings that were made, the last ones: to go from one view to another takes no time then. */
const kept = new Map();
const MOST_KEPT = 3;

export class RobotDrawing {
  #urdf;
  #names;
  #base;
  #tool;
  #joints;
  #line = null;

  /**
   * Reads an arm's URDF and meshes; it stands at home. One view at a time may have it.
   * @param {import("./service.js").Service} service @param {any} robot as the API lists it @param {AbortSignal} signal
   */
  static async load(service, robot, signal) {
    const key = `${robot.name} ${robot.sha256}`;
    let drawing = kept.get(key);
    if (!drawing) {
      const text = await (await service.call("GET", robot.links.urdf, { signal })).text();
      drawing = new RobotDrawing(robot);
      await drawing.#read(service, robot, text, signal);
    }
    drawing.pose(robot.home);
    drawing.object.visible = true;
    kept.delete(key);
    // What could not be loaded may be there the next time.
    if (!drawing.missing) kept.set(key, drawing);
    if (kept.size > MOST_KEPT) kept.delete(kept.keys().next().value);
    return drawing;
  }

  constructor(robot) {
    /** Stands in the arm's base frame. */
    this.object = new THREE.Group();
    /** Meshes that could not be drawn. */
    this.missing = 0;
    this.#names = robot.joint_names;
    this.#base = robot.base_frame;
    this.#tool = robot.tool_frame;
  }

  /** Takes a posture. @param {number[]} q joint positions [rad or m] */
  pose(q) {
    this.#names.forEach((name, index) => this.#urdf.setJointValue(name, q[index]));
    this.#urdf.updateMatrixWorld(true);
    this.#drawLine();
  }

  /** Where its tool is in the base frame, or null if the URDF has no such frame. @returns {THREE.Vector3 | null} */
  toolPosition() {
    const tool = this.#urdf.links[this.#tool];
    if (!tool) return null;
    const position = new THREE.Vector3().setFromMatrixPosition(tool.matrixWorld);
    return this.object.worldToLocal(position);
  }

  async #read(service, robot, text, signal) {
    const loading = [];
    const known = new Map();
    const loader = new URDFLoader(manager);
    loader.parseVisual = /<visual[\s>]/.test(text);
    loader.parseCollision = !loader.parseVisual;
    loader.packages = (name) => `package://${name}`;
    loader.loadMeshCb = (file, _, material, done) => {
      if (!known.has(file)) known.set(file, meshFile(service, robot, file, signal));
      loading.push(known.get(file).then((content) => done(meshOf(file, content, material)), () => { this.missing += 1; }));
    };
    this.#urdf = loader.parse(text);
    await Promise.all(loading);
    signal.throwIfAborted();
    for (const joint of Object.values(this.#urdf.joints)) joint.ignoreLimits = true;
    for (const [name, position] of Object.entries(robot.rest)) this.#urdf.setJointValue(name, position);
    this.object.add(this.#urdf);
    this.#joints = this.#names.map((name) => this.#urdf.joints[name]);
    this.pose(robot.home);
    // The base frame, which need not be the root, is where the data's poses are expressed.
    const base = this.#urdf.links[this.#base].matrixWorld.clone().invert();
    base.decompose(this.#urdf.position, this.#urdf.quaternion, this.#urdf.scale);
    let meshes = 0;
    this.#urdf.traverse((part) => { meshes += part.isMesh ? 1 : 0; });
    if (meshes <= this.#names.length / 2) this.#addLine();
  }

  #addLine() {
    const places = this.#joints.length + 2;
    const material = new THREE.MeshPhongMaterial({ color: 0x7a8894 });
    this.#line = Array.from({ length: places - 1 }, () => new THREE.Mesh(new THREE.CylinderGeometry(0.018, 0.018, 1, 12), material));
    this.object.add(...this.#line);
  }

  #drawLine() {
    if (!this.#line) return;
    const frames = [this.#urdf.links[this.#base], ...this.#joints, this.#urdf.links[this.#tool]].filter(Boolean);
    const points = frames.map((frame) => this.object.worldToLocal(new THREE.Vector3().setFromMatrixPosition(frame.matrixWorld)));
    this.#line.forEach((bar, index) => {
      const [from, to] = [points[index], points[index + 1]];
      bar.visible = Boolean(to) && from.distanceTo(to) > 1e-6;
      if (!bar.visible) return;
      const along = to.clone().sub(from);
      bar.scale.set(1, along.length(), 1);
      bar.position.copy(from).addScaledVector(along, 0.5);
      bar.quaternion.setFromUnitVectors(new THREE.Vector3(0, 1, 0), along.normalize());
    });
  }
}

async function meshFile(service, robot, file, signal) {
  const response = await service.call("GET", `${robot.links.mesh}?file=${encodeURIComponent(file)}`, { signal });
  return response.arrayBuffer();
}

function meshOf(file, content, material) {
  if (/\.dae$/i.test(file)) {
    // URDFs take a mesh's numbers as they are, whichever axis it calls up; else the loader warns that it turns it.
    const text = new TextDecoder().decode(content).replace("Z_UP", "Y_UP");
    return new ColladaLoader(manager).parse(text, "").scene;
  }
  if (/\.stl$/i.test(file)) return new THREE.Mesh(new STLLoader().parse(content), material);
  throw new Error(`${file} is of no format that is drawn`);
}

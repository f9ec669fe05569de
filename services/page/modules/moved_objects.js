/** The objects of a copy of a demonstration: a small box with axes and its name for each, which moves with the player. */

import * as THREE from "three";
import { element } from "./elements.js";
import { box, rotationOf } from "./solids.js";
import { around } from "./tool_path.js";

/** Colours that neither paths, targets nor keep-outs have; after so many, names alone tell objects apart. */
const COLOURS = [0x7048e8, 0x2b8a3e, 0xc2255c, 0x846358, 0x866118, 0x495057];
/** Their real sizes are not known [m]. */
const SIZE = 0.04;
/** Half the least thickness of where one may lie, as it is drawn [m]. */
const FLAT = 0.002;
/** Height of a name: on the screen, as a share of some one and a half heights of the picture; and as it is drawn [px]. */
const NAME = 0.035;
const NAME_PX = 40;

export class MovedObjects {
  #moved;

  /** @param {Record<string, {position: number[][], rotation_6d: number[][]}>} objects as the API answers them */
  constructor(objects) {
    this.object = new THREE.Group();
    this.#moved = Object.entries(objects).map(([name, { position, rotation_6d: rotation }], index) => {
      const shape = drawn(name, COLOURS[index % COLOURS.length]);
      this.object.add(shape);
      return { name, shape, places: position.map((point) => new THREE.Vector3(...point)), turns: rotation.map(rotationOf) };
    });
  }

  /** Moves them to where they are at a time. @param {number} sample may lie between two */
  move(sample) {
    for (const { shape, places, turns } of this.#moved) {
      const [from, to, share] = around(sample, places.length);
      shape.position.lerpVectors(places[from], places[to], share);
      shape.quaternion.slerpQuaternions(turns[from], turns[to], share);
    }
  }

  /** Where each is as it is drawn [m], by name. */
  get places() {
    return Object.fromEntries(this.#moved.map(({ name, shape }) => [name, shape.position.toArray()]));
  }
}

/** Which colour is which object. @param {string[]} names in their order */
export function legendOf(names) {
  return names.map((name, index) => {
    const colour = `#${COLOURS[index % COLOURS.length].toString(16).padStart(6, "0")}`;
    const swatch = element("span", { class: "swatch", "aria-hidden": "true" });
    swatch.style.background = colour;
    return element("li", {}, swatch, name);
  });
}

/**
 * Where a request has each object lie, drawn flat: as far as the demonstrations had it, unless the request says.
 * @param {Record<string, any>} workspace @param {Record<string, {min: number[], max: number[]}>} spans where they had it
 * @returns {THREE.Object3D[]}
 */
export function drawSpans({ objects, widen }, spans) {
  const wider = Number.isFinite(widen) ? widen : 0;
  return Object.entries(spans).map(([name, { min, max }], index) => {
    const asked = [objects?.[name]?.min, objects?.[name]?.max];
    const [low, high] = asked.every(isPlace) ? asked : [min.slice(0, 2).map((value) => value - wider), max.slice(0, 2).map((value) => value + wider)];
    const corners = { min: [...low, min[2] - FLAT], max: [...high, max[2] + FLAT] };
    return box(corners, COLOURS[index % COLOURS.length], 0.25);
  });
}

const isPlace = (value) => Array.isArray(value) && value.length === 2 && value.every(Number.isFinite);

function drawn(name, colour) {
  const geometry = new THREE.BoxGeometry(SIZE, SIZE, SIZE);
  const group = new THREE.Group();
  group.add(
    new THREE.Mesh(geometry, new THREE.MeshStandardMaterial({ color: colour, roughness: 0.8 })),
    new THREE.LineSegments(new THREE.EdgesGeometry(geometry), new THREE.LineBasicMaterial({ color: 0xffffff })),
    new THREE.AxesHelper(2 * SIZE), label(name, colour));
  return group;
}

/** The name above it: as large from afar as from near, and hidden by nothing. */
function label(name, colour) {
  const canvas = document.createElement("canvas");
  const pen = canvas.getContext("2d");
  const font = `600 ${NAME_PX}px system-ui, sans-serif`;
  pen.font = font;
  [canvas.width, canvas.height] = [Math.ceil(pen.measureText(name).width) + NAME_PX, 1.5 * NAME_PX];
  pen.fillStyle = `#${new THREE.Color(colour).getHexString()}`;
  pen.fillRect(0, 0, canvas.width, canvas.height);
  // A canvas that was resized has forgotten its font.
  [pen.font, pen.fillStyle, pen.textAlign, pen.textBaseline] = [font, "white", "center", "middle"];
  pen.fillText(name, canvas.width / 2, canvas.height / 2);
  const map = new THREE.CanvasTexture(canvas);
  map.colorSpace = THREE.SRGBColorSpace;
  const sprite = new THREE.Sprite(new THREE.SpriteMaterial({ map, depthTest: false, sizeAttenuation: false }));
  sprite.scale.set((NAME * canvas.width) / canvas.height, NAME, 1);
  // Its anchor lies below it, so that it stands above the object however that is turned.
  sprite.center.set(0.5, -0.7);
  return sprite;
}

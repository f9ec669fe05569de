/** What a policy predicted, from the moment it did, and what was demonstrated: lines beside the path that was executed. */

import * as THREE from "three";

export const PREDICTED = 0x1c7ed6;
export const DEMONSTRATED = 0x868e96;
/** Of answers before the latest one. */
const FAINT = 0.25;
/** Of the demonstration [m]. */
const DASH = 0.012;

export class RolloutLines {
  #answers;
  #demonstrated = null;
  #latest = new THREE.LineBasicMaterial({ color: PREDICTED, depthTest: false });
  #before = new THREE.LineBasicMaterial({ color: PREDICTED, transparent: true, opacity: FAINT, depthTest: false });

  /** @param {{predicted: {step: number, ee_position: number[][] | null}[], demonstrated: {ee_position: number[][] | null} | null}} rollout with the tool's positions [m] */
  constructor({ predicted, demonstrated }) {
    this.object = new THREE.Group();
    // Over the arm, whose hand would hide them.
    this.object.renderOrder = 1;
    const dots = new THREE.PointsMaterial({ color: PREDICTED, size: 4, sizeAttenuation: false, depthTest: false });
    this.#answers = predicted.filter((answer) => answer.ee_position).map(({ step, ee_position: places }) => {
      const geometry = lineThrough(places);
      const drawn = { step, line: new THREE.Line(geometry, this.#before), points: new THREE.Points(geometry, dots) };
      this.object.add(drawn.line, drawn.points);
      return drawn;
    });
    if (demonstrated?.ee_position) {
      const geometry = lineThrough(demonstrated.ee_position);
      const material = new THREE.LineDashedMaterial({ color: DEMONSTRATED, dashSize: DASH, gapSize: DASH / 2, depthTest: false });
      this.#demonstrated = new THREE.Line(geometry, material).computeLineDistances();
      this.object.add(this.#demonstrated);
    }
  }

  /** Shows what had been predicted by then: the latest answer, and faintly those before it. @param {number} sample */
  move(sample) {
    const latest = answerAt(this.#answers, sample);
    this.#answers.forEach(({ line, points }, index) => {
      line.visible = index <= latest;
      line.material = index === latest ? this.#latest : this.#before;
      points.visible = index === latest;
    });
  }

  /** How many lines of answers are drawn, and the places [m] of the latest one. */
  get drawn() {
    const visible = this.#answers.filter(({ line }) => line.visible);
    return { answers: visible.length, latest: placesOf(visible.at(-1)?.line) };
  }

  /** The demonstration's places as they are drawn [m]. */
  get demonstrated() {
    return placesOf(this.#demonstrated);
  }
}

function placesOf(line) {
  const numbers = line?.geometry.getAttribute("position").array ?? [];
  return Array.from({ length: numbers.length / 3 }, (_, index) => [...numbers.slice(3 * index, 3 * index + 3)]);
}

function lineThrough(places) {
  return new THREE.BufferGeometry().setFromPoints(places.map((place) => new THREE.Vector3(...place)));
}

/** Index of the latest answer at a time; -1 before the first. @param {{step: number}[]} answers in their order @param {number} sample */
export function answerAt(answers, sample) {
  return answers.findLastIndex(({ step }) => step <= Math.floor(sample));
}

/** A rollout in words: at which step it is, which answer of the policy it carries out, and which line is which. */

import { drawn, element } from "./elements.js";
import { legendOf } from "./moved_objects.js";
import { count } from "./quantities.js";
import { answerAt, DEMONSTRATED, PREDICTED } from "./rollout_lines.js";
import { CLOSED, OPEN } from "./tool_path.js";

export class RolloutWords {
  #step = element("span", { class: "told" });
  #answer = element("output", { class: "told" });
  #legend = element("ul", { class: "legend", "aria-label": "Lines and objects" });
  #rollout = null;

  constructor() {
    this.root = element("div", { class: "rolled", hidden: true }, element("p", { class: "whose" }, this.#step, " ", this.#answer), this.#legend);
  }

  /** Tells of a rollout; says nothing of any other trajectory. @param {any} trajectory that is played */
  show({ rollout = null, objects }) {
    this.#rollout = rollout;
    this.root.hidden = rollout === null;
    if (rollout === null) return;
    const { known, demonstrated, predicted } = rollout;
    this.#legend.replaceChildren(
      line(known ? "executed: teal with an open gripper, orange with a closed one" : "commanded, since what was reached is not known: teal with an open gripper, orange with a closed one", [OPEN, CLOSED]),
      ...(predicted.length ? [line("predicted: the latest answer with its steps, and faintly those before", [PREDICTED])] : []),
      ...(demonstrated ? [line(`demonstrated from the same beginning by the task's expert, which ${demonstrated.success ? "succeeded" : "failed"}`, [DEMONSTRATED], "3 2")] : []),
      ...legendOf(Object.keys(objects ?? {})));
  }

  /** Tells where it is. @param {number} sample may lie between two */
  move(sample) {
    if (!this.#rollout) return;
    const { steps, predicted } = this.#rollout;
    const latest = answerAt(predicted, sample);
    const said = latest < 0 ? "" : `Answer ${count(latest + 1)} of ${count(predicted.length)}, predicted at step ${count(predicted[latest].step)}.`;
    this.#step.textContent = `Step ${count(Math.floor(sample))} of ${count(steps)}.`;
    if (this.#answer.value !== said) this.#answer.value = said;
  }
}

/** A line of one colour, or of several one after the other, and what it is. */
function line(words, colours, dashes) {
  const width = 24 / colours.length;
  const strokes = colours.map((colour, index) => drawn("line", {
    x1: index * width, x2: (index + 1) * width, y1: 6, y2: 6, "stroke-width": 3, "stroke-dasharray": dashes, stroke: `#${colour.toString(16).padStart(6, "0")}`,
  }));
  return element("li", {}, drawn("svg", { class: "stroke", viewBox: "0 0 24 12", "aria-hidden": "true" }, ...strokes), words);
}

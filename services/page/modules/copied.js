/** What a copy of a demonstration is a copy of, in words: whose, and in which segment a sample lies. */

import { element } from "./elements.js";
import { legendOf } from "./moved_objects.js";
import { around } from "./tool_path.js";

export class Copied {
  #of = element("p", { class: "whose" });
  #segment = element("output", { class: "segment" });
  #legend = element("ul", { class: "legend", "aria-label": "Objects" });
  #trajectory = null;

  constructor() {
    this.root = element("div", { class: "copied", hidden: true }, this.#of, this.#legend);
  }

  /** Tells of a trajectory; says nothing of one that is no copy. @param {any} trajectory as the API answers it */
  show(trajectory) {
    this.#trajectory = trajectory.demonstration ? trajectory : null;
    this.root.hidden = !this.#trajectory;
    if (!this.#trajectory) return;
    this.#of.replaceChildren(`A copy of demonstration ${trajectory.source}, `, element("code", {}, trajectory.demonstration.name), ". Now: ", this.#segment);
    this.#legend.replaceChildren(...legendOf(Object.keys(trajectory.objects)));
  }

  /** Tells in which segment a sample lies. @param {number} sample may lie between two */
  move(sample) {
    if (!this.#trajectory) return;
    const { segment, demonstration, length } = this.#trajectory;
    const said = wordsOf(demonstration.segments[segment[around(sample, length)[0]]]);
    if (this.#segment.value !== said) this.#segment.value = said;
  }
}

function wordsOf({ kind, object }) {
  if (kind === "object") return `with ${object}`;
  return kind === "fixed" ? "at a fixed place" : "free";
}

/** Each joint over time against its limits, with a cursor at the time that is shown. */

import { drawn, element } from "./elements.js";
import { short } from "./quantities.js";

const WIDTH = 600;
const HEIGHT = 44;
const EDGE = 4;
const MOST_POINTS = 2000;

export class JointPlots {
  root = element("div", { class: "joint-plots" });
  #rows = [];
  #trajectory = null;
  #spec = null;
  #quantity = "joint_position";

  /**
   * Plots a trajectory; null takes it away. Without limits, a joint is plotted as far as it goes.
   * @param {any} trajectory @param {{joint_names: string[], limits: Record<string, number[]> | null}} spec
   */
  show(trajectory, spec) {
    this.#trajectory = trajectory;
    this.#spec = spec;
    if (trajectory) this.#plot();
    else this.#rows = [];
  }

  /** Chooses what is plotted: joint_position or joint_velocity. @param {string} quantity */
  choose(quantity) {
    this.#quantity = quantity;
    if (this.#trajectory) this.#plot();
  }

  /** Puts the cursor at a sample. @param {number} sample */
  move(sample) {
    const last = Math.max((this.#trajectory?.length ?? 1) - 1, 1);
    const x = (sample / last) * WIDTH;
    const nearest = Math.min(Math.round(sample), last);
    for (const { cursor, value, values } of this.#rows) {
      cursor.setAttribute("x1", x);
      cursor.setAttribute("x2", x);
      value.textContent = short(values[Math.min(nearest, values.length - 1)]);
    }
  }

  #plot() {
    const { limits, joint_names: names } = this.#spec;
    const speeds = this.#quantity === "joint_velocity";
    const common = sharedStart(names);
    this.#rows = names.map((name, joint) => {
      const values = this.#trajectory[this.#quantity].map((sample) => sample[joint]);
      const range = limits && (speeds ? [-limits.velocity[joint], limits.velocity[joint]] : [limits.lower[joint], limits.upper[joint]]);
      return row(name, name.slice(common), values, range);
    });
    this.root.replaceChildren(...this.#rows.map((one) => one.root));
    this.move(0);
  }
}

/** Length of what all names begin with, up to a mark between words: it tells nothing apart. */
function sharedStart(names) {
  let length = 0;
  while (names.length > 1 && names.every((name) => name[length] !== undefined && name[length] === names[0][length])) length += 1;
  return Math.max(names[0].lastIndexOf("_", length - 1) + 1, 0);
}

function row(name, called, values, limits) {
  const [least, most] = values.reduce(([least, most], value) => [Math.min(least, value), Math.max(most, value)], [Infinity, -Infinity]);
  // What stands still is a line in the middle.
  const [low, high] = limits ?? (most > least ? [least, most] : [least - 1, most + 1]);
  const y = (value) => EDGE + (1 - (value - low) / (high - low)) * (HEIGHT - 2 * EDGE);
  const stride = Math.ceil(values.length / MOST_POINTS);
  const last = Math.max(values.length - 1, 1);
  const points = values.filter((_, index) => index % stride === 0).map((value, index) => `${((index * stride) / last) * WIDTH},${y(value).toFixed(2)}`);
  const limit = (value) => limits && drawn("line", { class: "limit", x1: 0, x2: WIDTH, y1: y(value), y2: y(value) });
  const cursor = drawn("line", { class: "cursor", x1: 0, x2: 0, y1: 0, y2: HEIGHT });
  const words = `${name}: from ${short(least)} to ${short(most)}${limits ? `, limits ${short(low)} to ${short(high)}` : ""}`;
  const plot = drawn("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": words },
    limit(low), limit(high), drawn("polyline", { class: "curve", points: points.join(" ") }), cursor);
  const value = element("span", { class: "value" });
  const range = element("span", { class: "range" }, `${short(low)} … ${short(high)}`);
  return { root: element("div", { class: "joint" }, element("span", { class: "name", title: name }, called), plot, value, range), cursor, value, values };
}

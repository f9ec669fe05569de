/** The view that plays rollouts of a policy, from a file that is opened in the browser and goes nowhere. */

import { element, freshId } from "./elements.js";
import { count, short } from "./quantities.js";
import { readRollouts } from "./rollouts_file.js";
import { Viewer } from "./viewer.js";

/** The file that was opened last: it is there again when one comes back to this view. */
let kept = null;

export class RolloutsView {
  title = "Rollouts";
  #service;
  #viewer;
  #closing = new AbortController();
  #opened = 0;
  #input = element("input", { type: "file", accept: ".json", id: freshId("rollouts"), on: { change: () => this.#chosen(this.#input.files) } });
  #said = element("p", { class: "hint", role: "status" });
  #error = element("p", { class: "error", role: "alert" });

  /** @param {import("./service.js").Service} service */
  constructor(service) {
    this.#service = service;
    this.#viewer = new Viewer(service);
    const field = element("div", { class: "field" },
      element("label", { for: this.#input.id }, "A file of rollouts"), this.#input,
      element("p", { class: "hint" }, "The one that “python -m trainer evaluate … --player FILE” wrote; it may be dropped anywhere on this page, too. It is read here, and sent nowhere."),
      this.#said, this.#error);
    this.root = element("div", { class: "view rollouts" }, element("h1", {}, this.title), field,
      element("section", { class: "scene", "aria-label": "Rollouts" }, this.#viewer.root));
    const { signal } = this.#closing;
    const dropped = (event) => {
      if (!event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault(); // The browser would open the file in the page's place.
      if (event.type === "drop") this.#chosen(event.dataTransfer.files);
    };
    document.addEventListener("dragover", dropped, { signal });
    document.addEventListener("drop", dropped, { signal });
    if (kept) this.#open(kept);
  }

  /** Ends what goes on in it. */
  close() {
    this.#closing.abort();
    this.#viewer.close();
  }

  #chosen([file]) {
    if (file) this.#open(file);
  }

  async #open(file) {
    this.#opened += 1;
    const opened = this.#opened;
    const over = () => this.#closing.signal.aborted || opened !== this.#opened;
    this.#error.textContent = "";
    try {
      const content = await readRollouts(file);
      const robot = await this.#robotOf(content);
      if (over()) return;
      if (robot) await this.#viewer.showRobot(robot);
      else this.#viewer.showNoRobot(this.#whyNoRobot(content));
      if (over()) return;
      this.#play(content, robot);
      this.#said.textContent = `${file.name}: ${about(content)}`;
      kept = file;
    } catch (error) {
      if (!over()) this.#error.textContent = error.message;
    }
  }

  #play(content, robot) {
    const playable = content.rollouts.filter(({ executed }) => executed.length);
    const joints = playable.find(({ executed }) => executed.joint_position)?.executed.joint_position[0].length ?? 0;
    const spec = robot ?? { joint_names: Array.from({ length: joints }, (_, joint) => `joint ${joint + 1}`), limits: null };
    const trajectories = playable.map((rollout) => trajectoryOf(rollout, content, (q) => this.#viewer.toolPath(q)));
    if (trajectories.length) this.#viewer.showAll(trajectories, spec, "Rollout");
    else this.#viewer.show(null);
  }

  /** The service's robot of that name, if it has the joints that were recorded; null if it has none. */
  async #robotOf({ robot, rollouts }) {
    const q = rollouts.find(({ executed }) => executed.joint_position?.length)?.executed.joint_position[0];
    if (!q) return null;
    try {
      const { robots } = await this.#service.get("/v1/robots", this.#closing.signal);
      return robots.find(({ name, joint_names: names }) => name === robot && names.length === q.length) ?? null;
    } catch {
      return null;
    }
  }

  #whyNoRobot({ robot, rollouts }) {
    const joints = rollouts.some(({ executed }) => executed.joint_position);
    return joints ? `This service has no arm ${robot} with these joints; what is known of its tool is shown without it.`
      : "Joints were not recorded, so the tool's path is shown without the arm.";
  }
}

/** A rollout as the viewer plays it. @param {any} rollout @param {any} content @param {(q: number[][]) => number[][] | null} toolPath */
function trajectoryOf(rollout, { task, rate }, toolPath) {
  const { seed, success, steps, fault, executed, known, predicted, demonstrated } = rollout;
  const placesOf = (motion) => motion.ee_position ?? toolPath(motion.joint_position);
  const end = success ? "succeeded" : "failed";
  return {
    trajectory_id: seed,
    called: `${seed}, ${end}`,
    about: `Rollout ${seed} of ${task}: ${end} after ${count(steps)} steps, ${short(steps / rate)} s.${fault === null ? "" : ` Its environment failed: ${fault}.`}`,
    length: executed.length,
    rate_hz: rate,
    joint_position: executed.joint_position,
    joint_velocity: executed.joint_position && speedsOf(executed.joint_position, rate),
    ee_position: placesOf(executed),
    ee_rotation_6d: executed.ee_rotation_6d,
    gripper: executed.gripper,
    objects: executed.objects,
    rollout: {
      known, steps,
      predicted: predicted.map((answer) => ({ step: answer.step, ee_position: placesOf(answer) })),
      demonstrated: demonstrated && { success: demonstrated.success, ee_position: placesOf(demonstrated) },
    },
  };
}

/** Mean velocities between the samples before and after. */
function speedsOf(q, rate) {
  return q.map((row, index) => {
    const [before, after] = [Math.max(index - 1, 0), Math.min(index + 1, q.length - 1)];
    return row.map((_, joint) => ((q[after][joint] - q[before][joint]) * rate) / Math.max(after - before, 1));
  });
}

function about({ task, policy, leftOut, rollouts }) {
  const unplayed = rollouts.filter(({ executed }) => !executed.length);
  return [
    `${count(rollouts.length)} rollouts of ${task}${policy.run === undefined ? "" : ` by ${policy.run}`}, ${count(rollouts.filter(({ success }) => success).length)} succeeded.`,
    ...(leftOut.length ? [`The file had no room for ${leftOut.join(", ")}.`] : []),
    ...unplayed.map(({ seed, fault }) => `${seed} ended before its first step${fault === null ? "" : `: ${fault}`}.`),
  ].join(" ");
}

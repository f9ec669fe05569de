/** Chooses single trajectories of a dataset and has the viewer play them. */

import { element, freshId } from "./elements.js";
import { count } from "./quantities.js";
import { sentence } from "./problems.js";

export class TrajectoryChooser {
  #service;
  #viewer;
  #job;
  #signal;
  #spec;
  #id = null;
  #number = element("input", { id: freshId("trajectory"), type: "text", inputmode: "numeric", autocomplete: "off" });
  #note = element("p", { class: "hint", role: "status" }, "There is nothing to play yet; the first shard is being made.");

  /**
   * @param {import("./service.js").Service} service @param {import("./viewer.js").Viewer} viewer @param {any} job
   * @param {any} spec of the dataset's robot @param {AbortSignal} signal
   */
  constructor(service, viewer, job, spec, signal) {
    [this.#service, this.#viewer, this.#job, this.#spec, this.#signal] = [service, viewer, job, spec, signal];
    const button = (word, label, go) => element("button", { type: "button", "aria-label": label, on: { click: go } }, word);
    const last = job.progress.count - 1;
    this.#number.addEventListener("change", () => this.#chosen());
    this.root = element("div", { class: "chooser" },
      element("label", { for: this.#number.id }, "Trajectory"), this.#number,
      button("‹", "Trajectory before", () => this.open(Math.max((this.#id ?? 0) - 1, 0))),
      button("›", "Next trajectory", () => this.open(Math.min((this.#id ?? -1) + 1, last))),
      button("Any", "Any trajectory", () => this.#any()),
      this.#note);
  }

  /** Whether one is shown. */
  get opened() {
    return this.#id !== null;
  }

  /** Shows a trajectory. @param {number} id */
  async open(id) {
    this.#number.value = String(id);
    try {
      const trajectory = await this.#service.get(`/v1/jobs/${this.#job.id}/trajectories/${id}`, this.#signal);
      this.#id = id;
      this.#note.textContent = "";
      this.#viewer.show(trajectory, this.#spec);
    } catch (error) {
      if (this.#signal.aborted) return;
      this.#note.textContent = error.status === 404 ? `Trajectory ${id} is not there yet: its shard is not committed.` : sentence(error.message);
    }
  }

  #chosen() {
    const last = this.#job.progress.count - 1;
    const id = Number(this.#number.value.trim());
    if (Number.isInteger(id) && id >= 0 && id <= last && this.#number.value.trim() !== "") this.open(id);
    else this.#note.textContent = `This dataset has trajectories 0 to ${count(last)}.`;
  }

  async #any() {
    try {
      const { shards } = await this.#service.get(`/v1/jobs/${this.#job.id}/shards?limit=1000`, this.#signal);
      const shard = shards[Math.floor(Math.random() * shards.length)];
      if (shard) await this.open(shard.index * (this.#job.request.shard_rows ?? 4096) + Math.floor(Math.random() * shard.rows));
    } catch (error) {
      if (!this.#signal.aborted) this.#note.textContent = sentence(error.message);
    }
  }
}

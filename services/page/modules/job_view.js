/** The view of one job: its progress as it happens, its trajectories, what it covers, and what it was made of. */

import { coverageCharts } from "./coverage.js";
import { confirmed, element } from "./elements.js";
import { jobEvents } from "./job_events.js";
import { JobProgress } from "./job_progress.js";
import { sentence } from "./problems.js";
import { count } from "./quantities.js";
import { requestOf } from "./request_draft.js";
import { beginWith } from "./request_view.js";
import { TrajectoryChooser } from "./trajectory_chooser.js";
import { Viewer } from "./viewer.js";

const COVERAGE_EVERY_MS = 15_000;
const ENDED = ["succeeded", "failed", "cancelled"];

export class JobView {
  title = "Job";
  #service;
  #list;
  #id;
  #job = null;
  #chooser = null;
  #opening = Promise.resolve();
  #closing = new AbortController();
  #viewer;
  #progress = new JobProgress();
  #heading = element("h1", {}, "Job");
  #said = element("p", { class: "error", role: "alert", hidden: true });
  #cancel = element("button", { type: "button", hidden: true, on: { click: () => this.#cancelIt() } }, "Cancel the job");
  #delete = element("button", { type: "button", class: "danger", hidden: true, on: { click: () => this.#deleteIt() } }, "Delete the job and its data");
  #again = element("button", { type: "button", hidden: true, on: { click: () => this.#beginAgain() } }, "New request from this one");
  #body = element("div", { class: "job-body", hidden: true });
  #coverage = element("div", { "data-shards": 0 }, element("p", { class: "hint" }, "There are no rows yet."));
  #coveredAt = 0;
  #coveredShards = 0;

  /** @param {import("./service.js").Service} service @param {import("./job_list.js").JobList} list @param {string} id */
  constructor(service, list, id) {
    [this.#service, this.#list, this.#id] = [service, list, id];
    this.#viewer = new Viewer(service);
    this.root = element("div", { class: "view job" },
      element("div", { class: "heading" }, this.#heading, element("p", { class: "actions" }, this.#cancel, this.#again, this.#delete)),
      this.#said, this.#body);
    this.#open();
  }

  /** Ends what goes on in it. */
  close() {
    this.#closing.abort();
    this.#viewer.close();
  }

  async #open() {
    const { signal } = this.#closing;
    try {
      this.#job = await this.#service.get(`/v1/jobs/${this.#id}`, signal);
      const { header } = await this.#service.get(`/v1/jobs/${this.#id}/manifest?limit=1`, signal);
      this.#lay(header);
    } catch (error) {
      if (!signal.aborted) this.#fail(error);
      return;
    }
    this.#findRobot();
    this.#firstRow();
    this.#cover();
    await this.#follow();
  }

  #lay(header) {
    const { request, progress } = this.#job;
    this.title = `${request.robot.name}, ${count(progress.count)} trajectories`;
    this.#heading.textContent = this.title;
    document.title = `${this.title} · Headstart`;
    this.#again.hidden = false;
    this.#chooser = new TrajectoryChooser(this.#service, this.#viewer, this.#job, header.robot, this.#closing.signal);
    this.#viewer.showRequest(request);
    const scene = element("section", { class: "scene", "aria-label": "Trajectories" }, this.#chooser.root, this.#viewer.root);
    const wide = window.matchMedia("(min-width: 60rem)").matches;
    const said = element("details", { class: "said", open: wide },
      element("summary", {}, element("h2", {}, "Request")),
      element("p", { class: "hint" }, "Job and dataset id: ", element("code", {}, this.#id)),
      element("pre", { tabindex: "0", "aria-label": "The resolved request" }, JSON.stringify(request, null, 2)));
    this.#body.replaceChildren(
      element("div", { class: "columns" }, element("div", {}, this.#progress.root, said), scene),
      element("section", { class: "coverage" }, element("h2", {}, "Coverage"), this.#coverage));
    this.#body.hidden = false;
    this.#show();
  }

  #show() {
    this.#progress.show(this.#job);
    const ended = ENDED.includes(this.#job.state);
    this.#cancel.hidden = ended;
    this.#cancel.disabled = this.#job.state === "cancelling";
    this.#delete.hidden = !ended;
  }

  async #follow() {
    const { signal } = this.#closing;
    if (ENDED.includes(this.#job.state)) return;
    try {
      for await (const { kind, data } of jobEvents(this.#service, this.#id, this.#job.progress.shards_committed - 1, signal)) {
        if (kind === "progress") this.#job.progress = data;
        if (kind === "state") Object.assign(this.#job, data);
        if (kind === "commit") this.#firstRow();
        this.#show();
        if (kind !== "progress") this.#cover();
      }
    } catch (error) {
      if (!signal.aborted) this.#fail(error);
    }
    if (!signal.aborted) this.#list.refresh();
  }

  get #shardRows() {
    return this.#job.request.shard_rows ?? 4096;
  }

  /** Shows the first row there is, once. One after the other: a shard may be committed while it is looked for in vain. */
  #firstRow() {
    this.#opening = this.#opening.then(() => this.#chooser.opened || this.#closing.signal.aborted || this.#openFirst());
  }

  async #openFirst() {
    const { signal } = this.#closing;
    try {
      const { shards } = await this.#service.get(`/v1/jobs/${this.#id}/shards?limit=1`, signal);
      if (shards.length) await this.#chooser.open(shards[0].index * this.#shardRows);
    } catch (error) {
      if (!signal.aborted && error.status !== 0) this.#say(`Its shards can't be listed: ${error.message}`);
    }
  }

  async #findRobot() {
    const { name, sha256 } = this.#job.request.robot;
    try {
      const robot = await this.#service.get(`/v1/robots/${encodeURIComponent(name)}`, this.#closing.signal);
      if (robot.sha256 === sha256) this.#viewer.showRobot(robot);
      else this.#viewer.showNoRobot();
    } catch {
      if (!this.#closing.signal.aborted) this.#viewer.showNoRobot();
    }
  }

  /** Draws the coverage anew if there is more to cover; while the job runs, not all the time. */
  async #cover() {
    const { progress, state } = this.#job;
    const soon = !ENDED.includes(state) && performance.now() - this.#coveredAt < COVERAGE_EVERY_MS && this.#coveredShards > 0;
    if (progress.shards_committed === this.#coveredShards || soon) return;
    this.#coveredAt = performance.now();
    this.#coveredShards = progress.shards_committed;
    try {
      const coverage = await this.#service.get(`/v1/jobs/${this.#id}/coverage`, this.#closing.signal);
      // Another that was asked for later may have come earlier.
      if (coverage.shards >= this.#coverage.dataset.shards) this.#coverage.replaceChildren(...coverageCharts(coverage));
      this.#coverage.dataset.shards = Math.max(coverage.shards, this.#coverage.dataset.shards);
    } catch (error) {
      if (!this.#closing.signal.aborted) this.#coverage.replaceChildren(element("p", { class: "error" }, `Coverage can't be worked out: ${error.message}.`));
    }
  }

  async #cancelIt() {
    this.#cancel.disabled = true;
    try {
      const answer = await this.#service.post(`/v1/jobs/${this.#id}:cancel`);
      // The events may have told of the end before the answer to this, which is then out of date.
      if (!ENDED.includes(this.#job.state)) Object.assign(this.#job, answer);
      this.#show();
    } catch (error) {
      this.#cancel.disabled = false;
      this.#fail(error);
    }
  }

  async #deleteIt() {
    const { accepted } = this.#job.progress;
    if (!(await confirmed(`Delete this job and its ${count(accepted)} trajectories from the service's disk?`, "Delete them"))) return;
    try {
      await this.#service.call("DELETE", `/v1/jobs/${this.#id}`);
      this.#list.refresh();
      location.hash = "#/";
    } catch (error) {
      this.#fail(error);
    }
  }

  #beginAgain() {
    beginWith(requestOf(this.#job));
    location.hash = "#/";
  }

  #fail(error) {
    if (error.status === 404) this.#say("There is no such job on this service; it may have been deleted.");
    else if (error.status === 0) this.#say("The service does not answer.");
    else if (error.status !== 401) this.#say(error.message);
    // What could not be opened is opened once the service is there again.
    if (this.#job === null || this.#chooser === null) {
      const again = () => { if (this.#service.state === "here") { this.#said.hidden = true; this.#open(); } };
      if (error.status !== 404) this.#service.addEventListener("change", again, { once: true, signal: this.#closing.signal });
    }
  }

  #say(text) {
    this.#said.textContent = sentence(text);
    this.#said.hidden = false;
  }
}

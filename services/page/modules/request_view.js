/** The view that makes a request: the form, its text, and a drawing of what is asked for. */

import { element } from "./elements.js";
import { choiceField, numberField, optionalRangeField, severalField, toggleField, vectorField } from "./fields.js";
import { familyFields } from "./family_fields.js";
import { keepOutFields } from "./keep_out_fields.js";
import { MotionsList } from "./objects_fields.js";
import { clearProblem, clearProblems, sentence, showProblems } from "./problems.js";
import { robotUpload } from "./robot_upload.js";
import { RequestDraft } from "./request_draft.js";
import { requestText } from "./request_text.js";
import { Viewer } from "./viewer.js";
import { workspaceFields } from "./workspace_fields.js";

const PREVIEWED = 8;
const GOALS = [
  ["pose", "the whole pose"],
  ["position_axis", "position and the direction of the tool's z axis"],
  ["position", "the position alone"],
];
const COLUMNS = ["joint_acceleration", "profile_time", "profile_jerk"];

/** What the next request begins with: the last one, or a job's. */
let kept = { robot: "panda", count: 1000 };

/** Begins the next request as a job's. @param {Record<string, any>} request */
export function beginWith(request) {
  kept = request;
}

export class RequestView {
  title = "New request";
  #service;
  #list;
  #draft = new RequestDraft(kept);
  #robots = [];
  #closing = new AbortController();
  #motions;
  #viewer;
  #form = element("form", { class: "request", novalidate: true, on: { submit: (event) => this.#submit(event) } });
  #fields = element("div", { class: "fields" });
  #moves = element("fieldset");
  #summary = element("div", { class: "summary", role: "alert", tabindex: "-1", hidden: true });
  #submitButton = element("button", { type: "submit", class: "primary" }, "Submit the job");
  #previewButton = element("button", { type: "button", on: { click: () => this.#preview() } }, `Preview ${PREVIEWED}`);
  #said = element("p", { class: "hint", role: "status" });

  /** @param {import("./service.js").Service} service @param {import("./job_list.js").JobList} list */
  constructor(service, list) {
    this.#service = service;
    this.#list = list;
    this.#motions = new MotionsList(service, this.#closing.signal);
    this.#viewer = new Viewer(service);
    this.#motions.addEventListener("change", () => this.#draw());
    this.#draft.addEventListener("change", (event) => this.#changed(event.detail));
    const actions = element("div", { class: "actions" }, this.#submitButton, this.#previewButton, this.#said);
    this.#form.append(this.#summary, this.#fields, requestText(this.#draft), actions);
    const scene = element("section", { class: "scene", "aria-label": "Drawing of the request" }, this.#viewer.root);
    this.root = element("div", { class: "view" }, element("h1", {}, this.title), element("div", { class: "columns" }, this.#form, scene));
    this.#fill();
    this.#findRobots();
  }

  /** Ends what goes on in it. */
  close() {
    kept = this.#draft.value;
    this.#closing.abort();
    this.#viewer.close();
  }

  #fill() {
    const draft = this.#draft;
    this.#fillMoves();
    const set = (title, ...fields) => element("fieldset", {}, element("legend", {}, title), ...fields);
    this.#fields.replaceChildren(
      set("Robot", this.#robotField(), robotUpload(this.#service, (robot) => this.#use(robot), this.#closing.signal)),
      set("How many",
        element("div", { class: "grid" },
          numberField(draft, "/count", "Trajectories"),
          numberField(draft, "/seed", "Seed", "Other data for the same request needs another one."),
          numberField(draft, "/rate_hz", "Samples per second"),
          numberField(draft, "/shard_rows", "Rows in each shard", "A shard is a file, read as soon as it is done. Empty: as many as suit the rate and memory."))),
      set("Where to", workspaceFields(draft, this.#motions), choiceField(draft, "/goal", "To be reached", GOALS), keepOutFields(draft),
        toggleField(draft, "/self_collision", "Reject trajectories in which the arm meets itself")),
      this.#moves,
      set("What is written", severalField(draft, "/columns", "Further columns", COLUMNS, "The two profile columns are asked for together; they make jerk auditable.")));
  }

  #fillMoves() {
    const draft = this.#draft;
    const fields = draft.get("/workspace")?.kind === "objects"
      ? [element("p", { class: "hint" }, "As the demonstrations do: copies are of the family “demonstrated”, at their demonstration's speed.")]
      : [familyFields(draft),
        optionalRangeField(draft, "/via_velocity", "Go through via points without stopping", [0.3, 0.8], "Share of its speed that the arm keeps there, from 0 to 1."),
        vectorField(draft, "/speed_scale", "Speed, as a share of the limits", ["from", "to"], "Drawn for each trajectory, from 0.01 to 1."),
        optionalRangeField(draft, "/tool_speed", "Stretch motions to a tool speed", [0.1, 0.35], "Mean speed of the tool, in m/s.")];
    this.#moves.replaceChildren(element("legend", {}, "How it moves"), ...fields);
  }

  #robotField() {
    const names = this.#robots.map((robot) => [robot.name, `${robot.name} · ${robot.title}${robot.uploaded ? " (uploaded)" : ""}`]);
    const chosen = this.#draft.get("/robot");
    const choices = names.length ? names : [[chosen, `${chosen}`]];
    const known = this.#robots.find((robot) => robot.name === chosen);
    const about = known ? [
      `${known.joint_names.length} joints, from ${known.base_frame} to ${known.tool_frame}.`,
      `Acceleration and jerk: ${sentence(known.limits_source)}`, ...known.notes.map(sentence)].join(" ") : "";
    return choiceField(this.#draft, "/robot", "Arm", choices, about);
  }

  #use(robot) {
    this.#robots = [...this.#robots.filter(({ name }) => name !== robot.name), robot];
    this.#draft.set("/robot", robot.name, null);
    this.#fields.querySelector('[data-pointer="/robot"]').replaceWith(this.#robotField());
    this.#draw();
  }

  async #findRobots() {
    try {
      this.#robots = (await this.#service.get("/v1/robots", this.#closing.signal)).robots;
    } catch (error) {
      if (!this.#closing.signal.aborted) this.#said.textContent = `The robots can't be listed: ${error.message}.`;
      return this.#retry();
    }
    this.#fields.querySelector('[data-pointer="/robot"]').replaceWith(this.#robotField());
    this.#draw();
  }

  #retry() {
    const again = () => { if (this.#service.state === "here" && !this.#closing.signal.aborted) { this.#said.textContent = ""; this.#findRobots(); } };
    this.#service.addEventListener("change", again, { once: true, signal: this.#closing.signal });
  }

  #changed(by) {
    if (by instanceof HTMLTextAreaElement) {
      this.#fill();
      clearProblems(this.#form);
    } else if (by) {
      clearProblem(by);
    }
    if (by?.dataset?.at === "/robot") {
      this.#fields.querySelector('[data-pointer="/robot"]').replaceWith(this.#robotField());
      this.#fields.querySelector('[data-at="/robot"]').focus();
    }
    if (by?.dataset?.at === "/workspace/kind") this.#fillMoves();
    this.#viewer.show(null);
    this.#draw();
  }

  #draw() {
    const robot = this.#robots.find(({ name }) => name === this.#draft.get("/robot"));
    if (robot) this.#viewer.showRobot(robot);
    this.#viewer.showRequest(this.#draft.value, this.#motions.of(this.#draft.get("/workspace")?.motions)?.spans);
  }

  async #submit(event) {
    event.preventDefault();
    const job = await this.#send("/v1/jobs", this.#draft.value, "Submitting …");
    if (!job) return;
    this.#list.refresh();
    location.hash = `#/jobs/${job.id}`;
  }

  async #preview() {
    const { count } = this.#draft.value;
    const asked = { ...this.#draft.value, count: Number.isInteger(count) ? Math.min(count, PREVIEWED) : count };
    const preview = await this.#send("/v1/preview", asked, "Making a few …");
    if (!preview) return;
    const reasons = Object.entries(preview.rejections).map(([reason, times]) => `${reason.replaceAll("_", " ")} ${times}`);
    const rejected = reasons.length ? `rejected: ${reasons.join(", ")}` : "none rejected";
    this.#said.textContent = `${preview.trajectories.length} made of ${preview.attempts} candidates, ${rejected}.`;
    this.#viewer.showAll(preview.trajectories, preview.robot);
  }

  async #send(path, request, saying) {
    clearProblems(this.#form);
    this.#summary.hidden = true;
    this.#said.textContent = saying;
    this.#submitButton.disabled = this.#previewButton.disabled = true;
    try {
      const answer = await this.#service.post(path, JSON.stringify(request), this.#closing.signal);
      this.#said.textContent = "";
      return answer;
    } catch (error) {
      if (this.#closing.signal.aborted) return null;
      this.#said.textContent = "";
      showProblems(this.#fields, this.#summary, error);
      return null;
    } finally {
      this.#submitButton.disabled = this.#previewButton.disabled = false;
    }
  }
}

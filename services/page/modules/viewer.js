/** The viewer: an arm in 3D, what a request asks of it, and a trajectory that is played beside its joints' plots. */

import { Copied } from "./copied.js";
import { element, freshId } from "./elements.js";
import { JointPlots } from "./joint_plots.js";
import { drawSpans, MovedObjects } from "./moved_objects.js";
import { Player } from "./player.js";
import { short } from "./quantities.js";
import { RobotDrawing } from "./robot_drawing.js";
import { RolloutLines } from "./rollout_lines.js";
import { RolloutWords } from "./rollout_words.js";
import { drawRequest } from "./solids.js";
import { Stage } from "./stage.js";
import { around, ToolPath } from "./tool_path.js";

const TURN = Math.PI / 24;
/** How far [m] the drawing's tool may be from the record's before the page says so. */
const GAP = 1e-3;

export class Viewer {
  #service;
  #stage = null;
  #robot = null;
  #shown = null;
  #loading = new AbortController();
  #path = null;
  #objects = null;
  #lines = null;
  #trajectory = null;
  #player = new Player();
  #plots = new JointPlots();
  #copied = new Copied();
  #rolled = new RolloutWords();
  #note = element("p", { class: "hint note", role: "status" });
  #about = element("p", { class: "about" });
  #canvas = element("canvas", {
    tabindex: "0", role: "application", "aria-roledescription": "3D view",
    "aria-label": "The arm in 3D. Arrow keys turn the view, plus and minus come nearer and go away.",
    on: { keydown: (event) => this.#turn(event) },
  });
  #previews = element("p", { class: "previews", hidden: true });
  #plotted;
  #motion;

  /** @param {import("./service.js").Service} service */
  constructor(service) {
    this.#service = service;
    const view = (name, word) => element("button", { type: "button", on: { click: () => this.#stage?.view(name) } }, word);
    const views = element("div", { class: "views", role: "group", "aria-label": "Look from" },
      view("corner", "Corner"), view("front", "Front"), view("side", "Side"), view("top", "Top"),
      element("button", { type: "button", on: { click: () => this.#stage?.near() } }, "Path"));
    const quantity = element("select", { id: freshId("quantity") },
      element("option", { value: "joint_position" }, "Joint positions"), element("option", { value: "joint_velocity" }, "Joint velocities"));
    quantity.addEventListener("change", () => { this.#plots.choose(quantity.value); this.#plots.move(this.#player.sample); });
    this.#plotted = element("div", {},
      element("p", { class: "pair plotted" }, element("label", { for: quantity.id }, "Against their limits:"), quantity), this.#plots.root);
    this.#motion = element("div", { class: "motion", hidden: true },
      this.#player.root, this.#about, this.#copied.root, this.#rolled.root, this.#plotted,
      element("p", { class: "hint" }, "On its path, teal is an open gripper, orange a closed one. Space plays and pauses; ← and → go by one sample, with Shift by ten; Home and End go to the ends."));
    this.root = element("div", { class: "viewer", on: { keydown: (event) => this.#press(event) } },
      element("div", { class: "stage" }, this.#canvas, views), this.#note, this.#previews, this.#motion);
    this.#player.addEventListener("move", () => this.#move());
    try {
      this.#stage = new Stage(this.#canvas);
    } catch {
      this.#canvas.hidden = views.hidden = true;
      this.#note.textContent = "This browser has no WebGL, so nothing can be shown in 3D. The plots work without it.";
    }
  }

  /** Shows an arm at home. @param {any} robot as the API lists it */
  async showRobot(robot) {
    if (this.#shown?.sha256 === robot.sha256 && this.#shown.name === robot.name) return;
    this.#shown = robot;
    this.#loading.abort();
    const loading = this.#loading = new AbortController();
    if (!this.#stage) return;
    this.#say("Loading the arm …");
    this.#robot = null;
    this.#stage.put("robot", null);
    try {
      const drawing = await RobotDrawing.load(this.#service, robot, loading.signal);
      this.#robot = drawing;
      this.#stage.put("robot", drawing.object);
      this.#say(drawing.missing ? `${drawing.missing} of the arm's meshes can't be drawn.` : "");
      this.#stage.view("corner");
      this.#move();
      this.root.dataset.robot = robot.name;
    } catch (error) {
      if (!loading.signal.aborted) this.#say(`The arm can't be drawn: ${error.message}. Its tool's path is shown without it.`);
    }
  }

  /** Says that there is no arm to draw. @param {string} [why] */
  showNoRobot(why = "This robot is not on the service any more, or was changed; its tool's path is shown without it.") {
    this.#loading.abort();
    this.#robot = this.#shown = null;
    this.#stage?.put("robot", null);
    this.#say(why);
  }

  /** Where the tool is in postures of the arm that is drawn [m]; null if none is, or it has no tool. @param {number[][]} postures */
  toolPath(postures) {
    const places = this.#robot ? postures.map((q) => { this.#robot.pose(q); return this.#robot.toolPosition(); }) : [null];
    return places.includes(null) ? null : places.map((place) => place.toArray());
  }

  /** Draws what a request says of space. @param {Record<string, any>} request @param {any} [spans] of the objects that it moves, as the API lists them */
  showRequest(request, spans = {}) {
    const drawing = drawRequest(request);
    for (const span of drawSpans(request.workspace ?? {}, spans)) drawing.add(span);
    this.#stage?.put("request", drawing);
  }

  /** Shows several, to choose from. @param {any[]} trajectories @param {any} spec of their robot @param {string} [word] for one */
  showAll(trajectories, spec, word = "Trajectory") {
    const buttons = trajectories.map((trajectory, index) =>
      element("button", { type: "button", on: { click: () => this.#choose(trajectories, index, spec) } }, trajectory.called ?? String(trajectory.trajectory_id)));
    this.#previews.replaceChildren(`${word} `, ...buttons);
    this.#previews.hidden = false;
    this.#choose(trajectories, 0, spec);
  }

  /**
   * Shows a trajectory at its begin; null takes it away. @param {any} trajectory as the API answers it, or a rollout, of which
   * joints or tool may be unknown @param {any} [spec] of its robot
   */
  show(trajectory, spec) {
    this.#trajectory = trajectory;
    this.#motion.hidden = trajectory === null;
    this.#path = trajectory?.ee_position && this.#stage ? new ToolPath(trajectory) : null;
    this.#objects = trajectory?.objects && this.#stage ? new MovedObjects(trajectory.objects) : null;
    if (trajectory?.rollout) this.#path?.seeThrough();
    this.#lines = trajectory?.rollout && this.#stage ? new RolloutLines(trajectory.rollout) : null;
    this.#stage?.put("path", this.#path?.object ?? null);
    this.#stage?.put("objects", this.#objects?.object ?? null);
    this.#stage?.put("lines", this.#lines?.object ?? null);
    if (this.#lines) this.root.dataset.demonstrated = JSON.stringify(this.#lines.demonstrated);
    if (this.#robot) this.#robot.object.visible = trajectory === null || Boolean(trajectory.joint_position);
    if (trajectory === null) {
      this.#player.stop();
      this.#previews.hidden = true;
      if (this.#robot) this.#robot.pose(this.#shown.home);
      this.#stage?.changed();
      return;
    }
    this.#about.textContent = trajectory.about ?? aboutRow(trajectory);
    this.#copied.show(trajectory);
    this.#rolled.show(trajectory);
    this.#plotted.hidden = !trajectory.joint_position;
    this.#plots.show(trajectory.joint_position ? trajectory : null, spec);
    this.#player.load(trajectory.length, trajectory.rate_hz);
  }

  /** Gives back what it holds. */
  close() {
    this.#loading.abort();
    this.#player.stop();
    this.#stage?.close();
    this.#stage = null;
    this.#robot = null;
  }

  #choose(trajectories, index, spec) {
    this.show(trajectories[index], spec);
    [...this.#previews.querySelectorAll("button")].forEach((button, other) => button.setAttribute("aria-pressed", String(other === index)));
  }

  #move() {
    if (!this.#trajectory) return this.#stage?.changed();
    const { sample } = this.#player;
    this.#plots.move(sample);
    this.#copied.move(sample);
    this.#rolled.move(sample);
    this.#path?.move(sample);
    this.#lines?.move(sample);
    this.#objects?.move(sample);
    if (this.#objects) this.root.dataset.objects = JSON.stringify(this.#objects.places);
    if (this.#lines) this.root.dataset.rollout = JSON.stringify({ tool: this.#path?.at(sample).toArray(), ...this.#lines.drawn });
    if (this.#robot && this.#trajectory.joint_position) this.#pose(sample);
    this.#stage?.changed();
  }

  #pose(sample) {
    const { joint_position: q, length } = this.#trajectory;
    const [from, to, share] = around(sample, length);
    this.#robot.pose(q[from].map((value, joint) => value + share * (q[to][joint] - value)));
    const tool = this.#robot.toolPosition();
    if (!tool || !this.#path || share !== 0) return;
    const gap = tool.distanceTo(this.#path.at(sample));
    this.root.dataset.toolGap = gap.toExponential(2);
    if (gap > GAP) this.#say(`The arm as drawn puts its tool ${short(1000 * gap)} mm from where the data says it is.`);
  }

  #say(text) {
    this.#note.textContent = text;
  }

  #press(event) {
    if (!this.#trajectory || event.altKey || event.ctrlKey || event.metaKey || event.defaultPrevented) return;
    const own = event.target.closest("button, select, input, textarea");
    // A control's own keys stay its own, but a slider's are the player's.
    const slider = own?.type === "range";
    if ((own && !slider) || !this.#player.press(event)) return;
    event.preventDefault();
  }

  #turn(event) {
    const turns = { ArrowLeft: [-TURN, 0], ArrowRight: [TURN, 0], ArrowUp: [0, -TURN], ArrowDown: [0, TURN], "+": [0, 0, 1.15], "-": [0, 0, 1 / 1.15] };
    const turn = turns[event.key];
    if (!turn || event.ctrlKey || event.metaKey || event.altKey) return;
    this.#stage.turn(...turn);
    event.preventDefault();
  }
}

function aboutRow({ trajectory_id: id, family, duration, length, attempts }) {
  const tries = attempts === 1 ? "the first candidate" : `candidate ${attempts}`;
  return `Trajectory ${id}: ${family}, ${short(duration)} s, ${length} samples, ${tries}.`;
}

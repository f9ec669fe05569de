/** Where targets are drawn: the fields of each kind of workspace. */

import { element, freshId } from "./elements.js";
import { choiceField, field, numberField, vectorField } from "./fields.js";
import { objectsFields } from "./objects_fields.js";

const XYZ = ["x", "y", "z"];
const LARGEST_SUMMARY = 2 << 20;
const KINDS = [
  ["joint_space", "Joint space: any configuration inside the limits"],
  ["reachable", "Reachable: poses of such configurations, by IK"],
  ["box", "Box with a cone of tool directions"],
  ["poses", "Listed poses"],
  ["fitted", "Fitted to demonstrations"],
  ["objects", "Objects: copies of demonstrations"],
];
const FIRST = {
  joint_space: { kind: "joint_space" },
  reachable: { kind: "reachable" },
  box: { kind: "box", min: [0.3, -0.3, 0.1], max: [0.7, 0.3, 0.5] },
  poses: {
    kind: "poses",
    poses: [
      { position: [0.5, 0.2, 0.3], quat_xyzw: [1, 0, 0, 0] },
      { position: [0.5, -0.2, 0.3], quat_xyzw: [1, 0, 0, 0] },
    ],
  },
  fitted: { kind: "fitted" },
  objects: { kind: "objects" },
};
/** What copies of demonstrations take from these, so that their requests can't say it. */
const THE_DEMONSTRATIONS_OWN = ["/families", "/speed_scale", "/tool_speed", "/via_velocity"];
const FITTED_JITTER = [
  ["shift", "Shift of a whole motion [m]", "0.02"],
  ["position", "Shift of each waypoint [m]", "0.005"],
  ["angle_deg", "Turn of each waypoint [°]", "3"],
  ["speed", "Faster or slower, as a share", "0.1"],
  ["dwell", "Rests longer or shorter, as a share", "0.2"],
];

/**
 * The fields, which change with the kind.
 * @param {import("./request_draft.js").RequestDraft} draft @param {import("./objects_fields.js").MotionsList} motions
 */
export function workspaceFields(draft, motions) {
  const parts = element("div", { class: "parts" });
  const kind = choiceField(draft, "/workspace/kind", "Targets", KINDS);
  const show = () => {
    parts.replaceChildren(...(FIELDS[draft.get("/workspace")?.kind]?.(draft, show, motions) ?? []));
    return parts;
  };
  kind.querySelector("select").addEventListener("change", (event) => {
    if (event.target.value === "objects") for (const pointer of THE_DEMONSTRATIONS_OWN) draft.set(pointer, undefined, null);
    draft.set("/workspace", structuredClone(FIRST[event.target.value]), event.target);
    show();
  });
  show();
  return element("div", { class: "field-set", "data-pointer": "/workspace" }, kind, parts);
}

const FIELDS = {
  box: (draft) => [
    vectorField(draft, "/workspace/min", "Lowest corner [m]", XYZ, "In the robot's base frame."),
    vectorField(draft, "/workspace/max", "Highest corner [m]", XYZ),
    vectorField(draft, "/workspace/orientation/axis", "The tool points along", XYZ, "0, 0, -1 is straight down."),
    numberField(draft, "/workspace/orientation/angle_deg", "Up to so many degrees off it"),
  ],
  poses: (draft, show) => [
    element("ol", { class: "cards" }, ...posesOf(draft).map((pose, index) => poseCard(draft, pose, index, show))),
    addPose(draft, show),
    numberField(draft, "/workspace/jitter/position", "Jitter of positions [m]", "Each pose is moved to anywhere in a ball of this radius. Default: 0"),
    numberField(draft, "/workspace/jitter/angle_deg", "Jitter of rotations [°]", "Default: 0"),
  ],
  fitted: (draft) => [
    summaryField(draft),
    ...FITTED_JITTER.map(([key, label, usual]) => numberField(draft, `/workspace/jitter/${key}`, label, `Default: ${usual}`)),
  ],
  objects: (draft, _, motions) => objectsFields(draft, motions),
};

const posesOf = (draft) => [draft.get("/workspace/poses") ?? []].flat();

function poseCard(draft, pose, index, show) {
  const place = `/workspace/poses/${index}`;
  const rotation = pose?.rotation_6d
    ? vectorField(draft, `${place}/rotation_6d`, "First two rows of its matrix", ["r11", "r12", "r13", "r21", "r22", "r23"])
    : vectorField(draft, `${place}/quat_xyzw`, "Quaternion", ["x", "y", "z", "w"]);
  const remove = () => {
    draft.set("/workspace/poses", posesOf(draft).filter((_, other) => other !== index), null);
    show().querySelector(".add").focus();
  };
  return element("li", { class: "card field", "data-pointer": place },
    element("span", { class: "label" }, `Pose ${index + 1}`),
    element("button", { type: "button", class: "quiet remove", "aria-label": `Remove pose ${index + 1}`, on: { click: remove } }, "Remove"),
    vectorField(draft, `${place}/position`, "Position [m]", XYZ),
    rotation,
    element("p", { class: "error", hidden: true }));
}

function addPose(draft, show) {
  const add = () => {
    const poses = posesOf(draft);
    draft.set("/workspace/poses", [...poses, structuredClone(poses.at(-1) ?? FIRST.poses.poses[0])], null);
    show().querySelector(".cards").lastElementChild.querySelector("input").focus();
  };
  return element("p", {}, element("button", { type: "button", class: "add", on: { click: add } }, "Add a pose"));
}

function summaryField(draft) {
  const input = element("input", { type: "file", accept: ".json,application/json", id: freshId("summary"), "data-at": "/workspace/summary" });
  const chosen = element("p", { class: "hint", role: "status" });
  const tell = () => {
    const summary = draft.get("/workspace")?.summary;
    chosen.textContent = summary ? `Chosen: task ${summary.task ?? "unnamed"}, robot ${summary.robot ?? "unnamed"}.` : "No file chosen yet.";
  };
  input.addEventListener("change", async () => {
    const [file] = input.files;
    if (!file) return;
    try {
      if (file.size > LARGEST_SUMMARY) throw new Error(`${file.name} is larger than the 2 MiB that a summary may have`);
      const summary = JSON.parse(await file.text());
      draft.set("/workspace/summary", summary, input);
      tell();
    } catch (error) {
      chosen.textContent = error instanceof SyntaxError ? `${file.name} is not JSON; choose what “summarize” wrote.` : `${error.message}.`;
    }
  });
  tell();
  const control = element("div", {}, input, chosen);
  return field("/workspace/summary", "Summary of the demonstrations", control, {
    of: input, hint: "The file that “python -m trainer summarize” wrote.",
  });
}

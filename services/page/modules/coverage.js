/** What a job's rows cover, drawn: where the tool goes and points, joints and speeds within their limits. */

import { bars, cells, shares } from "./charts.js";
import { element } from "./elements.js";
import { count } from "./quantities.js";

/** @param {any} coverage as the API answers it */
export function coverageCharts(coverage) {
  const { histograms } = coverage;
  const planes = histograms.ee_position.map((plane) => {
    const [first, second] = plane.axes;
    return cells(`Tool, ${second} and ${first}`, upright(plane), [`${second} [m]`, `${first} [m]`], true);
  });
  const axis = cells("Directions of the tool's axis", histograms.tool_axis, ["cosine to base z", "angle about it [rad]"], false);
  const joints = (histogram, unit) => histogram.map((one) => bars(one.joint, one, unit));
  return [
    element("p", { class: "hint" }, `Histograms of a sample: ${count(coverage.sampled_rows)} rows of the ${count(coverage.shards)} shards there are.`),
    part("Where the tool goes", ...planes, axis),
    part("Joint positions within their limits", ...joints(histograms.joint_position, "rad or m")),
    part("Joint velocities within their limits", ...joints(histograms.joint_velocity, "rad/s or m/s")),
    part("Trajectories", bars("Duration", histograms.duration, "s"), shares("Motion families", histograms.family, coverage.sampled_rows)),
  ];
}

/** The second axis upward: z is up, as people expect it. */
function upright({ edges, counts }) {
  return { edges: [edges[1], edges[0]], counts: edges[1].slice(1).map((_, j) => counts.map((row) => row[j])) };
}

function part(title, ...figures) {
  return element("section", {}, element("h3", {}, title), element("div", { class: "charts" }, ...figures));
}

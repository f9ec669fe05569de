/** Charts of counts: bars, and cells of a plane. Every one is SVG, with its numbers in words for who can't see it. */

import { drawn, element } from "./elements.js";
import { count, percent, short } from "./quantities.js";

const WIDTH = 240;
const HEIGHT = 64;
const CELLS = 240;

/**
 * Counts between edges, as bars.
 * @param {string} title @param {{edges: number[], counts: number[]}} histogram @param {string} unit
 */
export function bars(title, { edges, counts }, unit) {
  const most = Math.max(...counts, 1);
  const wide = WIDTH / counts.length;
  const rects = counts.map((value, index) => {
    const high = (value / most) * HEIGHT;
    return drawn("rect", { class: "bar", x: index * wide + 0.5, y: HEIGHT - high, width: Math.max(wide - 1, 0.5), height: high });
  });
  const used = counts.map((value, index) => [value, index]).filter(([value]) => value > 0).map(([, index]) => index);
  const [first, last] = [used[0] ?? 0, (used.at(-1) ?? counts.length - 1) + 1];
  const words = `${title}: values from ${short(edges[first])} to ${short(edges[last])} ${unit}, range ${short(edges[0])} to ${short(edges.at(-1))} ${unit}`;
  const plot = drawn("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": words }, ...rects);
  return element("figure", { class: "bars" }, element("figcaption", {}, title), plot, ends(edges[0], edges.at(-1), unit));
}

function ends(low, high, unit) {
  return element("p", { class: "ends" }, element("span", {}, short(low)), element("span", {}, unit), element("span", {}, short(high)));
}

/**
 * Counts in cells of two axes, the first upward, darker where there are more.
 * @param {string} title @param {{edges: number[][], counts: number[][]}} plane @param {[string, string]} axes up, and to the right
 * @param {boolean} flat whether both axes have one scale
 */
export function cells(title, { edges, counts }, axes, flat) {
  const [up, right] = edges;
  const most = Math.max(...counts.flat(), 1);
  const high = flat ? (CELLS * (up.at(-1) - up[0])) / (right.at(-1) - right[0]) : CELLS / 2;
  const [tall, wide] = [high / counts.length, CELLS / counts[0].length];
  const rects = counts.flatMap((row, i) => row.map((value, j) => value > 0 && drawn("rect", {
    class: "cell", x: j * wide, y: high - (i + 1) * tall, width: wide, height: tall, "fill-opacity": 0.08 + 0.92 * Math.sqrt(value / most),
  }))).filter(Boolean);
  const share = rects.length / counts.flat().length;
  const words = `${title}: ${percent(share)} of the cells are reached; ${axes[1]} from ${short(right[0])} to ${short(right.at(-1))}, ${axes[0]} from ${short(up[0])} to ${short(up.at(-1))}`;
  const plot = drawn("svg", { class: "plane", viewBox: `0 0 ${CELLS} ${high.toFixed(1)}`, role: "img", "aria-label": words },
    drawn("rect", { class: "frame", x: 0.5, y: 0.5, width: CELLS - 1, height: high - 1 }), ...rects);
  const upright = element("p", { class: "hint" }, `Upward ${axes[0]}: ${short(up[0])} … ${short(up.at(-1))}`);
  return element("figure", { class: "cells" }, element("figcaption", {}, title), plot, ends(right[0], right.at(-1), axes[1]), upright);
}

/**
 * Shares of a whole, as a table with bars.
 * @param {string} title @param {Record<string, number>} counts @param {number} whole
 */
export function shares(title, counts, whole) {
  const rows = Object.entries(counts).sort(([, a], [, b]) => b - a).map(([name, value]) =>
    element("tr", {},
      element("th", { scope: "row" }, name.replaceAll("_", " ")),
      element("td", { class: "number" }, count(value)),
      element("td", { class: "number" }, percent(value / Math.max(whole, 1))),
      element("td", { class: "meter" }, drawn("svg", { viewBox: "0 0 100 8", preserveAspectRatio: "none", "aria-hidden": "true" },
        drawn("rect", { class: "bar", width: (100 * value) / Math.max(whole, 1), height: 8 })))));
  return element("table", { class: "shares" }, element("caption", {}, title), element("tbody", {}, ...rows));
}

/** The solids that the arm stays out of. */

import { element } from "./elements.js";
import { numberField, vectorField } from "./fields.js";

const XYZ = ["x", "y", "z"];
const FIRST = {
  half_space: { kind: "half_space", normal: [0, 0, 1], offset: 0 },
  box: { kind: "box", min: [0.4, -0.1, 0], max: [0.6, 0.1, 0.2] },
};

/** The fields; solids can be added and removed. @param {import("./request_draft.js").RequestDraft} draft */
export function keepOutFields(draft) {
  const list = element("ol", { class: "cards" });
  const change = (solids) => {
    draft.set("/keep_out", solids, null);
    show();
  };
  const remove = (index) => {
    change(solids().filter((_, other) => other !== index));
    adders.firstElementChild.focus();
  };
  const show = () => list.replaceChildren(...solids().map((solid, index) => card(draft, solid, index, () => remove(index))));
  const solids = () => [draft.get("/keep_out") ?? []].flat();
  const add = (kind) => {
    change([...solids(), structuredClone(FIRST[kind])]);
    list.lastElementChild.querySelector("input").focus();
  };
  const adders = element("p", { class: "actions" },
    element("button", { type: "button", on: { click: () => add("half_space") } }, "Add a table or wall"),
    element("button", { type: "button", on: { click: () => add("box") } }, "Add a box"));
  show();
  return element("div", { class: "field", "data-pointer": "/keep_out" },
    element("span", { class: "label" }, "Keep-outs"),
    list,
    adders,
    element("p", { class: "hint" }, "No link that moves may enter them. In the base frame, in metres; up to 32."),
    element("p", { class: "error", hidden: true }));
}

function card(draft, solid, index, remove) {
  const place = `/keep_out/${index}`;
  const name = solid?.kind === "half_space" ? "Everything below a plane" : "Box";
  const parts = solid?.kind === "half_space"
    ? [vectorField(draft, `${place}/normal`, "Normal, to where the arm may be", XYZ), numberField(draft, `${place}/offset`, "Offset along it [m]")]
    : [vectorField(draft, `${place}/min`, "Lowest corner [m]", XYZ), vectorField(draft, `${place}/max`, "Highest corner [m]", XYZ)];
  return element("li", { class: "card field", "data-pointer": place },
    element("span", { class: "label" }, `${index + 1}. ${name}`),
    element("button", { type: "button", class: "quiet remove", "aria-label": `Remove keep-out ${index + 1}`, on: { click: remove } }, "Remove"),
    ...parts,
    element("p", { class: "error", hidden: true }));
}

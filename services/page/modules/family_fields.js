/** The motion families, each with its weight. */

import { element, freshId } from "./elements.js";
import { field } from "./fields.js";
import { percent } from "./quantities.js";

const FAMILIES = [
  ["point_to_point", "one motion from rest to rest"],
  ["via_points", "through 2 to 5 targets"],
  ["hold", "stands still, the gripper may act"],
  ["cartesian_line", "the tool on straight lines"],
  ["pick_and_place", "down, close, lift, across, down, open"],
];

/** @param {import("./request_draft.js").RequestDraft} draft */
export function familyFields(draft) {
  const given = draft.get("/families");
  const rows = FAMILIES.map(([name, words]) => {
    const input = element("input", { type: "text", inputmode: "decimal", id: freshId("weight"), autocomplete: "off", "data-at": `/families/${name}` });
    input.value = given?.[name] ?? "";
    const share = element("span", { class: "share" });
    const label = element("label", { for: input.id }, element("code", {}, name), element("span", { class: "hint" }, words));
    return { name, input, share, row: element("li", {}, label, input, share) };
  });
  const weights = () => {
    const written = rows.map(({ name, input }) => [name, input.value.trim()]).filter(([, text]) => text !== "");
    return Object.fromEntries(written.map(([name, text]) => [name, Number.isFinite(Number(text)) ? Number(text) : text]));
  };
  const shares = () => {
    const sum = rows.reduce((total, { input }) => total + (Number(input.value) || 0), 0);
    for (const { input, share } of rows) share.textContent = sum > 0 && Number(input.value) > 0 ? percent(Number(input.value) / sum) : "–";
  };
  for (const { input } of rows) {
    input.addEventListener("input", () => {
      // Families that only the text names are kept.
      const others = Object.entries(draft.get("/families") ?? {}).filter(([name]) => !FAMILIES.some(([known]) => known === name));
      draft.set("/families", { ...weights(), ...Object.fromEntries(others) }, input);
      shares();
    });
  }
  shares();
  const group = element("ul", { class: "families", role: "group" }, ...rows.map(({ row }) => row));
  return field("/families", "Motions and their weights", group, { group: true });
}

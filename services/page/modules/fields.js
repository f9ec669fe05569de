/** Fields of the form. Each is bound to a place in the request, where the API's problems with it are shown. */

import { element, freshId } from "./elements.js";

/** A number, or the text as it is: then the API says what is wrong with it. @param {string} text */
function numberOf(text) {
  const trimmed = text.trim();
  if (trimmed === "") return undefined;
  const value = Number(trimmed);
  return Number.isFinite(value) ? value : trimmed;
}

function field(pointer, label, control, { hint = "", of = control, group = false } = {}) {
  const error = element("p", { class: "error", id: freshId("error"), hidden: true });
  const about = hint ? element("p", { class: "hint", id: freshId("hint") }, hint) : null;
  of.setAttribute("aria-describedby", about ? `${error.id} ${about.id}` : error.id);
  const name = group
    ? element("span", { class: "label", id: freshId("label") }, label)
    : element("label", { for: of.id }, label);
  if (group) of.setAttribute("aria-labelledby", name.id);
  return element("div", { class: "field", "data-pointer": pointer }, name, control, about, error);
}

function numberInput(draft, pointer, label) {
  const id = freshId("number");
  const input = element("input", { id, type: "text", inputmode: "decimal", autocomplete: "off", "aria-label": label, "data-at": pointer });
  input.value = draft.get(pointer) ?? "";
  input.addEventListener("input", () => draft.set(pointer, numberOf(input.value), input));
  return input;
}

/**
 * A number.
 * @param {import("./request_draft.js").RequestDraft} draft @param {string} pointer @param {string} label @param {string} [hint]
 */
export function numberField(draft, pointer, label, hint) {
  const input = numberInput(draft, pointer, null);
  return field(pointer, label, input, { hint });
}

/**
 * Numbers beside each other, such as a point, or a range.
 * @param {import("./request_draft.js").RequestDraft} draft @param {string} pointer @param {string} label
 * @param {string[]} names of the numbers @param {string} [hint]
 */
export function vectorField(draft, pointer, label, names, hint) {
  const inputs = names.map((name, index) => {
    const id = freshId("number");
    const input = element("input", { id, type: "text", inputmode: "decimal", autocomplete: "off", "data-at": `${pointer}/${index}` });
    input.value = draft.get(pointer)?.[index] ?? "";
    return input;
  });
  const changed = (event) => {
    const values = inputs.map((input) => numberOf(input.value) ?? null);
    draft.set(pointer, values.some((value) => value !== null) ? values : undefined, event.target);
  };
  for (const input of inputs) input.addEventListener("input", changed);
  const pairs = inputs.map((input, index) => element("span", { class: "pair" }, element("label", { for: input.id }, names[index]), input));
  const group = element("div", { class: "vector", role: "group" }, ...pairs);
  return field(pointer, label, group, { hint, group: true });
}

/**
 * A range that can be left out.
 * @param {import("./request_draft.js").RequestDraft} draft @param {string} pointer @param {string} label
 * @param {number[]} first what it is when it is switched on @param {string} hint
 */
export function optionalRangeField(draft, pointer, label, first, hint) {
  const place = element("div", { class: "optional" });
  const box = element("input", { type: "checkbox", id: freshId("switch") });
  box.checked = draft.get(pointer) !== null;
  const show = () => place.replaceChildren(
    element("p", { class: "check" }, box, element("label", { for: box.id }, label)),
    box.checked ? vectorField(draft, pointer, "Range", ["from", "to"], hint) : field(pointer, "", element("span"), { hint }));
  box.addEventListener("change", () => {
    draft.set(pointer, box.checked ? first : null, box);
    show();
    box.focus();
  });
  show();
  return place;
}

/**
 * One of several words.
 * @param {import("./request_draft.js").RequestDraft} draft @param {string} pointer @param {string} label
 * @param {[string, string][]} choices each with what people read @param {string} [hint]
 */
export function choiceField(draft, pointer, label, choices, hint) {
  const select = element("select", { id: freshId("choice"), "data-at": pointer });
  const value = draft.get(pointer);
  const known = choices.some(([word]) => word === value) ? choices : [[value, `${value} (not known here)`], ...choices];
  select.append(...known.map(([word, text]) => element("option", { value: word, selected: word === value }, text)));
  select.addEventListener("change", () => draft.set(pointer, select.value, select));
  return field(pointer, label, select, { hint });
}

/**
 * Something that is or is not.
 * @param {import("./request_draft.js").RequestDraft} draft @param {string} pointer @param {string} label @param {string} [hint]
 */
export function toggleField(draft, pointer, label, hint) {
  const box = element("input", { type: "checkbox", id: freshId("toggle"), "data-at": pointer });
  box.checked = draft.get(pointer) === true;
  box.addEventListener("change", () => draft.set(pointer, box.checked, box));
  const place = field(pointer, label, box, { hint });
  place.classList.add("toggle");
  return place;
}

/**
 * Some of several words.
 * @param {import("./request_draft.js").RequestDraft} draft @param {string} pointer @param {string} label @param {string[]} words
 */
export function severalField(draft, pointer, label, words, hint) {
  const boxes = words.map((word) => {
    const box = element("input", { type: "checkbox", id: freshId("word"), value: word });
    box.checked = [draft.get(pointer) ?? []].flat().includes(word);
    box.addEventListener("change", () => draft.set(pointer, boxes.filter((one) => one.checked).map((one) => one.value), box));
    return box;
  });
  const checks = boxes.map((box) => element("span", { class: "check" }, box, element("label", { for: box.id }, box.value)));
  const group = element("div", { class: "several", role: "group" }, ...checks);
  return field(pointer, label, group, { hint, group: true });
}

/** A field around any control. */
export { field };

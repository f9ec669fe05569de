/** The request as JSON, which can be edited: what the form can't say can be written. */

import { element, freshId } from "./elements.js";

/** A field with the draft's text. @param {import("./request_draft.js").RequestDraft} draft */
export function requestText(draft) {
  const error = element("p", { class: "error", id: freshId("error"), role: "status", hidden: true });
  const area = element("textarea", { id: freshId("json"), rows: 12, spellcheck: "false", autocomplete: "off", autocapitalize: "off", "aria-describedby": error.id });
  const show = () => {
    const { workspace, ...rest } = draft.value;
    const summary = workspace?.summary;
    area.value = JSON.stringify(draft.value, null, 2);
    // Megabytes of demonstrations are no text to edit.
    area.readOnly = Boolean(summary);
    if (summary) area.value = JSON.stringify({ ...rest, workspace: { ...workspace, summary: `(the file chosen above: ${summary.task ?? ""})` } }, null, 2);
    error.hidden = true;
  };
  draft.addEventListener("change", (event) => { if (event.detail !== area) show(); });
  area.addEventListener("input", () => {
    try {
      const value = JSON.parse(area.value);
      if (typeof value !== "object" || value === null || Array.isArray(value)) throw new Error("a request is a JSON object");
      error.hidden = true;
      draft.replace(value, area);
    } catch (problem) {
      error.textContent = `This is not used yet: ${problem.message}.`;
      error.hidden = false;
    }
  });
  show();
  const label = element("label", { for: area.id }, "The request as JSON");
  const hint = element("p", { class: "hint" }, "What POST /v1/jobs is sent. Edit it, and the form follows.");
  return element("div", { class: "field json" }, label, area, hint, error);
}

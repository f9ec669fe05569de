/** Uploading an arm of one's own: a URDF, or a ZIP archive of one with its meshes. */

import { element, freshId } from "./elements.js";
import { sentence } from "./problems.js";

/**
 * The fields; `done` is told the robot.
 * @param {import("./service.js").Service} service @param {(robot: any) => void} done @param {AbortSignal} signal
 */
export function robotUpload(service, done, signal) {
  const file = element("input", { type: "file", id: freshId("urdf"), accept: ".urdf,.xml,.zip" });
  const tip = element("input", { type: "text", id: freshId("tip"), autocomplete: "off", spellcheck: "false" });
  const base = element("input", { type: "text", id: freshId("base"), autocomplete: "off", spellcheck: "false" });
  const said = element("p", { class: "hint", role: "status" });
  const error = element("p", { class: "error", role: "alert" });
  const button = element("button", { type: "button" }, "Upload this arm");
  button.addEventListener("click", async () => {
    said.textContent = error.textContent = "";
    const [chosen] = file.files;
    if (!chosen || !tip.value.trim()) {
      error.textContent = "Choose a file, and name the link whose pose is to be recorded.";
      return;
    }
    button.disabled = true;
    said.textContent = "Uploading and reading it …";
    try {
      const robot = await upload(service, chosen, tip.value.trim(), base.value.trim(), signal);
      said.textContent = [`It is there, as ${robot.name}.`, ...robot.notes.map(sentence)].join(" ");
      done(robot);
    } catch (problem) {
      if (signal.aborted) return;
      said.textContent = "";
      error.textContent = [problem.message, ...problem.errors.map(({ pointer, detail }) => `${pointer}: ${detail}`)].map(sentence).join(" ");
    } finally {
      button.disabled = false;
    }
  });
  const pair = (label, input, hint) => element("div", { class: "field" }, element("label", { for: input.id }, label), input, element("p", { class: "hint" }, hint));
  return element("details", { class: "upload" }, element("summary", {}, "An arm of your own …"),
    pair("URDF, or a ZIP of one with its meshes", file, "Its joints' limits are read from it; acceleration and jerk are a rule's."),
    pair("Link whose pose is recorded", tip, "The tool's frame; its z axis is the direction in which the tool points."),
    pair("Link in whose frame poses are", base, "The root if left empty."),
    element("p", {}, button), said, error);
}

async function upload(service, file, tip, base, signal) {
  const query = new URLSearchParams(base ? { tip, base } : { tip });
  const kind = /\.zip$/i.test(file.name) ? "application/zip" : "application/xml";
  const response = await service.call("POST", `/v1/robots?${query}`, { body: file, headers: { "Content-Type": kind }, signal });
  return response.json();
}

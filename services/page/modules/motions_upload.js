/** Uploading demonstrations to be copied: the motions file that the trainer wrote. */

import { element, freshId } from "./elements.js";
import { sentence } from "./problems.js";

/** Of a motions file [bytes]. */
const LARGEST = 32 << 20;

/**
 * The fields; `done` is told what the service says of the file.
 * @param {import("./service.js").Service} service @param {(motions: any) => void} done @param {AbortSignal} signal
 */
export function motionsUpload(service, done, signal) {
  const input = element("input", { type: "file", accept: ".parquet", id: freshId("motions") });
  const said = element("p", { class: "hint", role: "status" });
  const error = element("p", { class: "error", role: "alert" });
  input.addEventListener("change", async () => {
    const [file] = input.files;
    said.textContent = error.textContent = "";
    if (!file) return;
    if (file.size > LARGEST) {
      error.textContent = `${file.name} is larger than the 32 MiB that a motions file may have.`;
      return;
    }
    input.disabled = true;
    said.textContent = "Uploading and reading it …";
    try {
      const headers = { "Content-Type": "application/octet-stream" };
      const response = await service.call("POST", "/v1/motions", { body: file, headers, signal });
      done(await response.json());
      said.textContent = "It is there, and chosen.";
    } catch (problem) {
      if (signal.aborted) return;
      said.textContent = "";
      error.textContent = `${file.name}: ${sentence(problem.message)}`;
    } finally {
      input.disabled = false;
    }
  });
  return element("div", { class: "field" },
    element("label", { for: input.id }, "Upload a motions file"), input,
    element("p", { class: "hint" }, "The file that “python -m trainer motions” wrote."), said, error);
}

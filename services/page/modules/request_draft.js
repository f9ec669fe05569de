/** The request that is being written: a JSON object, the one truth behind the form and the text beside it. */

/** What the API takes where a key is missing, by JSON pointer; keys of parts that are not there yet included. */
export const DEFAULTS = {
  "/seed": 0,
  "/rate_hz": 20,
  "/families": { point_to_point: 0.5, via_points: 0.5 },
  "/workspace": { kind: "joint_space" },
  "/workspace/kind": "joint_space",
  "/workspace/orientation/axis": [0, 0, -1],
  "/workspace/orientation/angle_deg": 30,
  "/workspace/source": "any",
  "/goal": "pose",
  "/speed_scale": [0.1, 1],
  "/tool_speed": null,
  "/via_velocity": null,
  "/self_collision": true,
  "/keep_out": [],
  "/columns": [],
};

/** Tells `change` when its `value` does; the event's `detail` is who changed it. */
export class RequestDraft extends EventTarget {
  /** @param {Record<string, any>} value */
  constructor(value) {
    super();
    this.value = value;
  }

  /** What is at a JSON pointer, else the default, else undefined. @param {string} pointer */
  get(pointer) {
    const found = steps(pointer).reduce((part, step) => part?.[step], this.value);
    return found === undefined ? DEFAULTS[pointer] : found;
  }

  /**
   * Puts a value at a JSON pointer. Its default is left out, as undefined is: what differs is what the request says.
   * @param {string} pointer @param {any} value @param {any} [by] who does
   */
  set(pointer, value, by) {
    const path = steps(pointer);
    const last = path.pop();
    const left = value === undefined || JSON.stringify(value) === JSON.stringify(DEFAULTS[pointer]);
    const parts = [this.value];
    for (const step of path) {
      const part = parts.at(-1);
      if (typeof part[step] !== "object" || part[step] === null) {
        if (left) return this.#tell(by);
        // A copy, so that a default is never written into.
        part[step] = structuredClone(this.get(`/${path.slice(0, parts.length).join("/")}`)) ?? {};
      }
      parts.push(part[step]);
    }
    if (left && Array.isArray(parts.at(-1))) parts.at(-1)[last] = value ?? null;
    else if (left) delete parts.at(-1)[last];
    else parts.at(-1)[last] = value;
    this.#prune(parts, path);
    this.#tell(by);
  }

  /** Another request in its place. @param {Record<string, any>} value @param {any} [by] who does */
  replace(value, by) {
    this.value = value;
    this.#tell(by);
  }

  // An object that says nothing any more is left out with the last of its keys.
  #prune(parts, path) {
    for (let depth = path.length; depth > 0; depth -= 1) {
      const part = parts[depth];
      if (Array.isArray(part) || Object.keys(part).length > 0) return;
      delete parts[depth - 1][path[depth - 1]];
    }
  }

  #tell(by) {
    this.dispatchEvent(new CustomEvent("change", { detail: by }));
  }
}

function steps(pointer) {
  return pointer.split("/").slice(1).map((step) => step.replaceAll("~1", "/").replaceAll("~0", "~"));
}

/** The request that a job was made of, as one that can be sent. @param {any} job */
export function requestOf(job) {
  const { generator_version: _, robot, ...request } = structuredClone(job.request);
  // Of demonstrations a job keeps the hash only: their file has to be chosen again.
  if (request.workspace?.kind === "fitted") delete request.workspace.summary;
  return { robot: robot.name, ...request };
}

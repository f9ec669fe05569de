/** Copies of demonstrations: whose, where their objects may lie, and where the tool starts. */

import { element, freshId } from "./elements.js";
import { choiceField, field, numberField, vectorField } from "./fields.js";
import { motionsUpload } from "./motions_upload.js";
import { count, short } from "./quantities.js";

const SOURCES = [
  ["any", "each demonstration as often as the others"],
  ["nearest", "the demonstration whose objects lay nearest"],
];

/** The motions files that the service has; asked for once for a form. Tells `change` once they are known. */
export class MotionsList extends EventTarget {
  /** What the API says of each; null until they are listed. */
  known = null;
  #service;
  #signal;
  #asked = null;

  /** @param {import("./service.js").Service} service @param {AbortSignal} signal of the form */
  constructor(service, signal) {
    super();
    [this.#service, this.#signal] = [service, signal];
  }

  /** Asks for them, unless they are known; says what went wrong, or "". */
  find() {
    return (this.#asked ??= this.#ask());
  }

  /** What is known of a file. @param {string} sha256 */
  of(sha256) {
    return this.known?.find((one) => one.sha256 === sha256);
  }

  /** The fields of an upload; `done` is called once the file is among them. @param {(motions: any) => void} done */
  upload(done) {
    return motionsUpload(this.#service, (motions) => {
      this.known = [...(this.known ?? []).filter(({ sha256 }) => sha256 !== motions.sha256), motions];
      done(motions);
    }, this.#signal);
  }

  async #ask() {
    for (;;) {
      try {
        this.known = (await this.#service.get("/v1/motions", this.#signal)).motions;
        this.dispatchEvent(new Event("change"));
        return "";
      } catch (error) {
        if (error.status === 0) {
          await new Promise((resolve) => this.#service.addEventListener("change", resolve, { once: true, signal: this.#signal }));
        } else {
          this.#asked = null;
          return this.#signal.aborted ? "" : `The motions files can't be listed: ${error.message}.`;
        }
      }
    }
  }
}

/**
 * The fields of a workspace of objects.
 * @param {import("./request_draft.js").RequestDraft} draft @param {MotionsList} list
 */
export function objectsFields(draft, list) {
  const chosen = () => list.of(draft.get("/workspace/motions"));
  const spans = element("div", {});
  const showSpans = () => spans.replaceChildren(...(chosen()?.objects.length ? spanCards(draft, chosen()) : []));
  const choose = motionsField(draft, list, showSpans);
  const upload = list.upload((motions) => choose.use(motions.sha256));
  return [
    choose.root, upload, spans,
    numberField(draft, "/workspace/widen", "Objects lie so much farther out [m]", "Than the demonstrations had them, on every side. Default: 0"),
    numberField(draft, "/workspace/least_distance", "Least distance between objects [m]", "In the plane, at the start. Default: the demonstrations' least"),
    choiceField(draft, "/workspace/source", "Which demonstration is copied", SOURCES),
    numberField(draft, "/workspace/start_jitter/position", "The tool starts so far from where it did [m]", "Default: 0"),
    numberField(draft, "/workspace/start_jitter/angle_deg", "And turned by up to [°]", "Default: 0"),
  ];
}

function motionsField(draft, list, changed) {
  const pointer = "/workspace/motions";
  const select = element("select", { id: freshId("motions"), "data-at": pointer });
  const about = element("p", { class: "hint", role: "status" });
  const show = () => {
    const value = draft.get(pointer);
    const known = list.known ?? [];
    const unknown = `${String(value).slice(0, 12)}${list.known ? " (not on this service)" : ""}`;
    const others = value === undefined || list.of(value) ? [] : [[String(value), unknown]];
    const choices = [["", "Choose a motions file"], ...others, ...known.map((one) => [one.sha256, nameOf(one)])];
    select.replaceChildren(...choices.map(([word, text]) => element("option", { value: word, selected: word === (value ?? "") }, text)));
    about.textContent = aboutOf(list.known, list.of(value));
    changed();
  };
  const use = (sha256) => {
    // Other demonstrations may be of other objects.
    draft.set("/workspace/objects", undefined, null);
    draft.set(pointer, sha256, select);
    show();
  };
  select.addEventListener("change", () => use(select.value || undefined));
  show();
  list.find().then((problem) => {
    show();
    if (problem) about.textContent = problem;
  });
  return { root: field(pointer, "Demonstrations", element("div", {}, select, about), { of: select }), use };
}

const nameOf = ({ task, motions, sha256 }) => `${task}, ${count(motions)} demonstrations (${sha256.slice(0, 8)})`;

function aboutOf(known, chosen) {
  if (chosen) return `Of ${chosen.robot} at ${short(chosen.rate_hz)} Hz, with ${chosen.objects.join(", ") || "no objects"}.`;
  if (known === null) return "Asking which there are …";
  return known.length ? "" : "None is uploaded yet.";
}

function spanCards(draft, { objects, spans }) {
  const cards = objects.map((name) => {
    const place = `/workspace/objects/${name}`;
    const { min, max } = spans[name];
    const had = `Left empty: as the demonstrations had it, x ${short(min[0])} to ${short(max[0])}, y ${short(min[1])} to ${short(max[1])}.`;
    return element("li", { class: "card field", "data-pointer": place },
      element("span", { class: "label" }, name),
      vectorField(draft, `${place}/min`, `Least place of ${name} [m]`, ["x", "y"]),
      vectorField(draft, `${place}/max`, `Greatest place of ${name} [m]`, ["x", "y"], had),
      vectorField(draft, `${place}/yaw_deg`, `Yaw of ${name} [°]`, ["from", "to"], "About the vertical. Left empty: as the demonstrations had it."),
      element("p", { class: "error", hidden: true }));
  });
  return [element("div", { class: "field", "data-pointer": "/workspace/objects" },
    element("span", { class: "label" }, "Where objects lie"), element("ul", { class: "cards" }, ...cards), element("p", { class: "error", hidden: true }))];
}

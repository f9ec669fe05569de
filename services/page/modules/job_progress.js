/** How far a job is: state, bar, rate, what remains, and rejections by reason. */

import { shares } from "./charts.js";
import { element, freshId } from "./elements.js";
import { bytes, count, duration, percent } from "./quantities.js";

/** Between two announcements to who listens rather than looks. */
const ANNOUNCED_EVERY_MS = 5000;
const WORDS = {
  queued: "Waiting for its turn",
  running: "Running",
  cancelling: "Being cancelled",
  succeeded: "Done",
  failed: "Failed",
  cancelled: "Cancelled",
};

export class JobProgress {
  #state = element("p", { class: "state" });
  #reason = element("p", { class: "error", role: "alert", hidden: true });
  #bar = element("progress", { id: freshId("bar"), max: 1, value: 0 });
  #numbers = element("dl", { class: "numbers" });
  #rejections = element("div", { class: "rejections" });
  #live = element("p", { class: "unseen", "aria-live": "polite" });
  #announcedAt = 0;
  #announced = "";

  constructor() {
    this.root = element("section", { class: "progress", "aria-label": "Progress" },
      this.#state, this.#reason,
      element("label", { for: this.#bar.id, class: "unseen" }, "Trajectories committed"), this.#bar,
      this.#numbers, this.#rejections, this.#live);
  }

  /** @param {any} job as the API answers it, or what its events made of it */
  show({ state, reason, progress }) {
    const share = progress.accepted / progress.count;
    this.#state.textContent = WORDS[state];
    this.#state.dataset.state = state;
    this.#reason.textContent = reason;
    this.#reason.hidden = !reason;
    this.#bar.value = share;
    const running = state === "running";
    const numbers = [
      ["Trajectories", `${count(progress.accepted)} of ${count(progress.count)}`],
      ["Shards", `${count(progress.shards_committed)} of ${count(progress.shards)}`],
      ["Size", bytes(progress.bytes)],
      ["Rate", progress.rows_per_s === null ? "–" : `${count(Math.round(progress.rows_per_s))} per second`],
      ["Remaining", running && progress.remaining_s !== null ? duration(progress.remaining_s) : "–"],
    ];
    this.#numbers.replaceChildren(...numbers.map(([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, value))));
    this.#showRejections(progress);
    const remaining = running && progress.remaining_s !== null ? `, ${duration(progress.remaining_s)} remain` : "";
    this.#announce(`${WORDS[state]}: ${percent(share)}${running ? remaining : ""}. ${reason}`, state);
  }

  #showRejections({ attempts, accepted, rejections }) {
    const rejected = Object.values(rejections).reduce((sum, value) => sum + value, 0);
    if (!attempts) return this.#rejections.replaceChildren();
    const title = `Rejected: ${count(rejected)} of ${count(attempts)} candidates, for ${count(accepted)} trajectories`;
    this.#rejections.replaceChildren(shares(title, rejections, attempts));
  }

  #announce(text, state) {
    const now = performance.now();
    if (state === this.#announced && now - this.#announcedAt < ANNOUNCED_EVERY_MS) return;
    this.#announcedAt = now;
    this.#announced = state;
    this.#live.textContent = text;
  }
}

/** The controls of time: play, scrub, speed. Tells `move` when the `sample` changes; it may lie between two. */

import { element, freshId } from "./elements.js";
import { short } from "./quantities.js";

const SPEEDS = [0.1, 0.25, 0.5, 1, 2, 4];
const LEAP = 10;

export class Player extends EventTarget {
  sample = 0;
  #length = 0;
  #rate = 20;
  #frame = 0;
  #before = 0;
  #play = element("button", { type: "button", class: "play", on: { click: () => this.toggle() } }, "Play");
  #range = element("input", { type: "range", min: 0, max: 0, step: 1, value: 0, id: freshId("time"), on: { input: () => this.seek(Number(this.#range.value)) } });
  #time = element("output", { for: this.#range.id, class: "time" });
  #speed = element("select", { id: freshId("speed") }, ...SPEEDS.map((speed) => element("option", { value: speed, selected: speed === 1 }, `${speed}×`)));
  #again = element("input", { type: "checkbox", id: freshId("again") });

  constructor() {
    super();
    this.root = element("div", { class: "player" },
      this.#play,
      element("label", { for: this.#range.id, class: "unseen" }, "Time"), this.#range, this.#time,
      element("span", { class: "pair" }, element("label", { for: this.#speed.id }, "Speed"), this.#speed),
      element("span", { class: "check" }, this.#again, element("label", { for: this.#again.id }, "Repeat")));
  }

  /** Whether it plays. */
  get playing() {
    return this.#frame !== 0;
  }

  /** Takes a trajectory's time, from its begin. @param {number} length samples @param {number} rate samples per second */
  load(length, rate) {
    this.stop();
    this.#length = length;
    this.#rate = rate;
    this.#range.max = String(length - 1);
    this.seek(0);
  }

  /** Goes to a sample. @param {number} sample */
  seek(sample) {
    this.sample = Math.min(Math.max(sample, 0), this.#length - 1);
    this.#range.value = String(Math.round(this.sample));
    const [now, end] = [this.sample / this.#rate, (this.#length - 1) / this.#rate];
    this.#time.value = `${now.toFixed(2)} / ${end.toFixed(2)} s`;
    this.#range.setAttribute("aria-valuetext", `${short(now)} of ${short(end)} seconds`);
    this.dispatchEvent(new Event("move"));
  }

  /** Goes on, or stops. */
  toggle() {
    if (this.playing) {
      this.stop();
      // On a sample, where the slider is: it tells of no change that is none to it.
      return this.seek(Math.round(this.sample));
    }
    if (this.sample >= this.#length - 1) this.seek(0);
    this.#play.textContent = "Pause";
    this.#before = performance.now();
    this.#frame = requestAnimationFrame((now) => this.#advance(now));
  }

  /** Stops. */
  stop() {
    cancelAnimationFrame(this.#frame);
    this.#frame = 0;
    this.#play.textContent = "Play";
  }

  /** Does what a key stands for; false if it stands for nothing. @param {KeyboardEvent} event */
  press(event) {
    const steps = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (event.key === " ") this.toggle();
    else if (steps) this.seek(Math.round(this.sample) + steps * (event.shiftKey ? LEAP : 1));
    else if (event.key === "Home") this.seek(0);
    else if (event.key === "End") this.seek(this.#length - 1);
    else return false;
    return true;
  }

  #advance(now) {
    const passed = ((now - this.#before) / 1000) * Number(this.#speed.value);
    this.#before = now;
    const next = this.sample + Math.max(passed, 0) * this.#rate;
    if (next < this.#length - 1) this.seek(next);
    else if (this.#again.checked) this.seek(0);
    else {
      this.seek(this.#length - 1);
      return this.stop();
    }
    this.#frame = requestAnimationFrame((later) => this.#advance(later));
  }
}

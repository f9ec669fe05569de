/** The list of jobs beside the view. Asking for it is also how the page knows whether the service answers. */

import { element } from "./elements.js";
import { count, percent } from "./quantities.js";

const BUSY_MS = 1500;
const IDLE_MS = 5000;
const ACTIVE = ["queued", "running", "cancelling"];

export class JobList {
  #service;
  #items = element("ol", { class: "job-items" });
  #note = element("p", { class: "hint" }, "No job yet.");
  #more = element("button", { type: "button", class: "quiet", hidden: true, on: { click: () => this.#grow() } }, "Older jobs");
  #limit = 20;
  #shown = "";
  #current;
  #timer;

  /** @param {import("./service.js").Service} service @param {HTMLElement} place */
  constructor(service, place) {
    this.#service = service;
    const wide = window.matchMedia("(min-width: 60rem)");
    const details = element("details", { open: wide.matches }, element("summary", {}, "Jobs"), this.#items, this.#note, this.#more);
    wide.addEventListener("change", () => { details.open = wide.matches; });
    place.replaceChildren(element("a", { class: "new", href: "#/" }, "New request"), " ", element("a", { class: "new", href: "#/rollouts" }, "Rollouts"), details);
  }

  /** Begins to ask for the jobs, again and again. */
  start() {
    this.refresh();
    document.addEventListener("visibilitychange", () => { if (!document.hidden) this.refresh(); });
  }

  /** Marks the job that is looked at, if there is one. @param {string} [id] */
  mark(id) {
    this.#current = id;
    for (const link of this.#items.querySelectorAll("a")) {
      if (link.hash === `#/jobs/${id}`) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
  }

  /** Asks now. */
  async refresh() {
    clearTimeout(this.#timer);
    let pause = IDLE_MS;
    try {
      const page = await this.#page();
      this.#show(page);
      if (page.jobs.some((job) => ACTIVE.includes(job.state))) pause = BUSY_MS;
    } catch (error) {
      if (this.#service.state === "away") pause = BUSY_MS;
      else if (this.#service.state === "here") this.#note.textContent = `The jobs can't be listed: ${error.message}.`;
    }
    if (this.#service.state === "key" || document.hidden) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.refresh(), pause);
  }

  /** So many jobs, and whether there are more: where their requests are long, the service answers fewer at once. */
  async #page() {
    const jobs = [];
    let cursor = "";
    do {
      const page = await this.#service.get(`/v1/jobs?limit=${this.#limit - jobs.length}${cursor && `&cursor=${cursor}`}`);
      jobs.push(...page.jobs);
      cursor = page.next_cursor;
    } while (cursor !== null && jobs.length < this.#limit);
    return { jobs, next_cursor: cursor };
  }

  #grow() {
    this.#limit = Math.min(this.#limit + 50, 500);
    this.refresh();
  }

  #show(page) {
    this.#more.hidden = page.next_cursor === null || this.#limit === 500;
    this.#note.hidden = page.jobs.length > 0;
    const shown = JSON.stringify(page.jobs.map((job) => [job.id, job.state, job.progress.accepted]));
    if (shown === this.#shown) return;
    this.#shown = shown;
    const focused = this.#items.contains(document.activeElement) ? document.activeElement.hash : null;
    this.#items.replaceChildren(...page.jobs.map(item));
    this.mark(this.#current);
    if (focused) this.#items.querySelector(`a[href="${focused}"]`)?.focus();
  }
}

function item(job) {
  const { accepted, count: wanted } = job.progress;
  const how = ACTIVE.includes(job.state) ? `${job.state}, ${percent(accepted / wanted)}` : job.state;
  return element("li", {},
    element("a", { href: `#/jobs/${job.id}` },
      element("span", { class: "job-robot" }, job.request.robot.name),
      element("span", { class: "job-count" }, count(wanted)),
      element("span", { class: "job-state", "data-state": job.state }, how)));
}

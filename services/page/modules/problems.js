/** The API's problems with a request, each next to the field that it names. */

import { element } from "./elements.js";

/** Forgets what was shown. @param {HTMLElement} form */
export function clearProblems(form) {
  for (const error of form.querySelectorAll(".field > .error")) forget(error);
  for (const input of form.querySelectorAll("[aria-invalid]")) input.removeAttribute("aria-invalid");
}

function forget(error) {
  error.hidden = true;
  error.textContent = "";
}

/** Forgets what was shown at the field that holds an input. @param {Element} input */
export function clearProblem(input) {
  const place = input.closest(".field");
  if (!place) return;
  forget(place.querySelector(":scope > .error"));
  for (const one of place.querySelectorAll("[aria-invalid]")) one.removeAttribute("aria-invalid");
}

/**
 * Shows each problem at the field whose pointer is the longest that leads to it, and all of them in `summary`, with links
 * to the fields. The focus goes to the summary.
 * @param {HTMLElement} form @param {HTMLElement} summary @param {import("./service.js").Problem} problem
 */
export function showProblems(form, summary, problem) {
  const items = problem.errors.map(({ pointer, detail }) => {
    const place = fieldOf(form, pointer);
    if (!place) return element("li", {}, pointer ? element("code", {}, pointer) : null, pointer ? ": " : null, detail);
    const error = place.querySelector(":scope > .error");
    error.append(error.textContent ? "; " : "", detail);
    error.hidden = false;
    const exact = place.querySelector(`[data-at="${CSS.escape(pointer)}"]`);
    const inputs = exact ? [exact] : [...place.querySelectorAll("input, select, textarea")];
    for (const input of inputs) input.setAttribute("aria-invalid", "true");
    const go = (event) => { event.preventDefault(); inputs[0]?.focus(); };
    const label = place.querySelector("label, .label").textContent || pointer;
    return element("li", {}, element("a", { href: "#/", on: { click: go } }, label), `: ${detail}`);
  });
  const text = problem.status === 0 ? "The service does not answer; nothing was sent." : `${sentence(problem.message)}`;
  summary.replaceChildren(element("p", {}, text), ...(items.length ? [element("ul", {}, ...items)] : []));
  summary.hidden = false;
  summary.focus();
}

function fieldOf(form, pointer) {
  for (let place = pointer; place; place = place.slice(0, place.lastIndexOf("/"))) {
    const found = form.querySelector(`[data-pointer="${CSS.escape(place)}"]`);
    if (found) return found;
  }
  return null;
}

/** A detail as a sentence. @param {string} detail */
export function sentence(detail) {
  return `${detail[0].toUpperCase()}${detail.slice(1)}${/[.!?]$/.test(detail) ? "" : "."}`;
}

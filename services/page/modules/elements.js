/** Elements of the page. Text only ever goes in as text: nothing here parses markup. */

const SVG = "http://www.w3.org/2000/svg";

/**
 * An element with attributes and children; `on` holds its event handlers. Attributes that are false, null or undefined
 * are left out.
 * @param {string} tag
 * @param {Record<string, any>} [attributes]
 * @param {...(Node|string|number|null|undefined)} children
 */
export function element(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

/** The same of SVG. @param {string} tag @param {Record<string, any>} [attributes] @param {...(Node|string)} children */
export function drawn(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

function filled(node, { on = {}, ...attributes }, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== false && value !== null && value !== undefined) node.setAttribute(name, value === true ? "" : value);
  }
  for (const [name, handler] of Object.entries(on)) node.addEventListener(name, handler);
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

let made = 0;

/** An id that no other element has. @param {string} word */
export function freshId(word) {
  made += 1;
  return `${word}-${made}`;
}

/** Whether the user decides to go on. @param {string} text @param {string} yes what the button says */
export async function confirmed(text, yes) {
  const dialog = /** @type {HTMLDialogElement} */ (document.getElementById("question"));
  document.getElementById("question-text").textContent = text;
  document.getElementById("question-yes").textContent = yes;
  dialog.returnValue = "no";
  dialog.showModal();
  await new Promise((resolve) => dialog.addEventListener("close", resolve, { once: true }));
  return dialog.returnValue === "yes";
}

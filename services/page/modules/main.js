/** The page: which view is shown, the state of the service, and its key. */

import { JobList } from "./job_list.js";
import { JobView } from "./job_view.js";
import { RequestView } from "./request_view.js";
import { RolloutsView } from "./rollouts_view.js";
import { Service } from "./service.js";

const AGAIN_MS = 1000;

const service = new Service();
const main = document.getElementById("main");
const list = new JobList(service, document.getElementById("jobs"));
let view = null;

function show() {
  view?.close();
  const id = /^#\/jobs\/([0-9a-f]{64})$/.exec(location.hash)?.[1];
  if (id) view = new JobView(service, list, id);
  else view = location.hash === "#/rollouts" ? new RolloutsView(service) : new RequestView(service, list);
  list.mark(id);
  main.replaceChildren(view.root);
  document.title = `${view.title} · Headstart`;
}

const status = document.getElementById("service");
const away = document.getElementById("away");
const dialog = /** @type {HTMLDialogElement} */ (document.getElementById("key-dialog"));
const field = /** @type {HTMLInputElement} */ (document.getElementById("key"));
const refusal = document.getElementById("key-error");

async function ask() {
  try {
    const version = await service.get("/version");
    status.textContent = `version ${version.version}`;
    const ready = await service.get("/readyz").then(() => "", (error) => error.message);
    if (ready) status.textContent = `not ready yet: ${ready}`;
    if (ready) setTimeout(ask, AGAIN_MS);
  } catch {
    // The list of jobs goes on asking; this is called again when the service is back.
  }
}

service.addEventListener("change", () => {
  away.hidden = service.state !== "away";
  if (service.state === "away") {
    status.textContent = "away";
    away.textContent = "The service does not answer. Is it running? This page asks again until it does; jobs go on from their last shard.";
  } else {
    ask();
  }
  if (service.state === "key" && !dialog.open) {
    refusal.textContent = service.keyed ? "That is not a key of this service." : "";
    dialog.showModal();
  }
});

dialog.addEventListener("cancel", (event) => event.preventDefault());
dialog.querySelector("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  if (!/^[\x21-\x7e]+$/.test(field.value.trim())) {
    refusal.textContent = "A key has letters, digits and signs, and no spaces.";
    return;
  }
  service.useKey(field.value.trim());
  try {
    await service.get("/v1/jobs?limit=1");
  } catch (error) {
    refusal.textContent = error.status === 401 ? "That is not a key of this service." : `That did not work: ${error.message}.`;
    return;
  }
  field.value = "";
  dialog.close();
  keyButton.hidden = false;
  list.refresh();
  show();
});

const keyButton = document.getElementById("key-button");
keyButton.hidden = !service.keyed;
keyButton.addEventListener("click", () => {
  service.forgetKey();
  refusal.textContent = "";
  dialog.showModal();
});

document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault(); // Its address would take the place of the view's.
  main.focus();
});
window.addEventListener("hashchange", () => {
  show();
  main.focus();
});
show();
list.start();

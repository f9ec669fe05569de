/** The service's API: calls with the key, its problems, and whether it answers at all. */

const KEY = "headstart-key";

/** An answer that is an error (RFC 9457), or none: then its status is 0. */
export class Problem extends Error {
  /** @param {number} status @param {string} detail @param {{pointer: string, detail: string}[]} [errors] */
  constructor(status, detail, errors = []) {
    super(detail);
    this.status = status;
    this.errors = errors;
  }
}

/** One service: the one that served this page. Tells `change` when its `state` does: "here", "away" or "key". */
export class Service extends EventTarget {
  state = "";

  /** Whether a key is in use. */
  get keyed() {
    return sessionStorage.getItem(KEY) !== null;
  }

  /** Uses a key from now on, in this tab. @param {string} key */
  useKey(key) {
    sessionStorage.setItem(KEY, key);
  }

  /** Forgets the key. */
  forgetKey() {
    sessionStorage.removeItem(KEY);
  }

  /** What GET answers as JSON. @param {string} path @param {AbortSignal} [signal] */
  async get(path, signal) {
    return (await this.call("GET", path, { signal })).json();
  }

  /** What POST answers as JSON. @param {string} path @param {string} [body] JSON @param {AbortSignal} [signal] */
  async post(path, body, signal) {
    const headers = body === undefined ? {} : { "Content-Type": "application/json" };
    return (await this.call("POST", path, { body, headers, signal })).json();
  }

  /**
   * The answer of a call. Throws a Problem if it is none, or the caller's own AbortError.
   * @param {string} method @param {string} path
   * @param {{body?: BodyInit, headers?: Record<string, string>, signal?: AbortSignal}} [options]
   */
  async call(method, path, { body, headers = {}, signal } = {}) {
    const key = sessionStorage.getItem(KEY);
    const authorization = key === null ? {} : { Authorization: `Bearer ${key}` };
    let response;
    try {
      response = await fetch(path, { method, body, headers: { ...headers, ...authorization }, signal, cache: "no-cache" });
    } catch (error) {
      if (signal?.aborted) throw error;
      this.#become("away");
      throw new Problem(0, "the service does not answer");
    }
    this.#become(response.status === 401 ? "key" : "here");
    if (!response.ok) throw await problemOf(response);
    return response;
  }

  #become(state) {
    if (state === this.state) return;
    this.state = state;
    this.dispatchEvent(new Event("change"));
  }
}

async function problemOf(response) {
  try {
    const body = await response.json();
    return new Problem(response.status, body.detail, body.errors);
  } catch {
    return new Problem(response.status, `the service answered ${response.status} without saying why`);
  }
}

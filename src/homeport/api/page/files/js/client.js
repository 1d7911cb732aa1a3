/**
 * Sends requests to this page's own server, with the key of the session. Knows no endpoint.
 */
import {reportLost} from "./connection.js";
import {readEvents} from "./event_stream.js";
import {isAdministrative, keyFor} from "./keys.js";
import {createSignal} from "./signal.js";

const REJECTED = "invalid_api_key";
const HEADER = /^[\x21-\x7e]+$/; // what a header may have of a key

/**
 * How often the server refused the session's key.
 *
 * @type {import("./signal.js").Signal<number>}
 */
export const rejections = createSignal(0);

/** An error that the server reports, or that it cannot be reached (status 0). */
export class ApiError extends Error {
  /**
   * @param {number} status
   * @param {{message?: string, type?: string, code?: string | null, param?: string | null}} error
   */
  constructor(status, error) {
    super(error.message ?? "");
    this.name = "ApiError";
    this.status = status;
    this.type = error.type ?? "";
    this.code = error.code ?? null;
    this.param = error.param ?? null;
  }
}

/**
 * @typedef {object} Options
 * @property {string} [method]
 * @property {unknown} [body] sent as JSON; a FormData is sent as a form
 * @property {AbortSignal} [signal] ends the request, and with it the server's work for it
 * @property {string} [key] another key than the session's; empty: none
 */

/**
 * Send a request and return its response.
 *
 * @param {string} path
 * @param {Options} [options]
 * @returns {Promise<Response>}
 * @throws {ApiError} if the server refuses it or does not answer; an AbortError if `signal` ended it
 */
export async function send(path, {method = "GET", body, signal, key: ownKey} = {}) {
  if (!isPlain(path)) throw new ApiError(404, {code: "unknown_url"});
  const key = ownKey ?? keyFor(path);
  const headers = new Headers({accept: "application/json"});
  if (key && !HEADER.test(key)) throw new ApiError(401, {code: REJECTED}); // as the server would say
  if (key) headers.set("authorization", `Bearer ${key}`);
  const isForm = body instanceof FormData;
  if (body !== undefined && !isForm) headers.set("content-type", "application/json");
  const content = body === undefined || isForm ? body : JSON.stringify(body);
  let response;
  try {
    response = await fetch(path, {method, headers, body: content, signal, credentials: "omit", cache: "no-store"});
  } catch (error) {
    throw lost(error);
  }
  if (response.ok) return response;
  const problem = new ApiError(response.status, await readError(response));
  if (ownKey === undefined) noteRejection(path, problem);
  throw problem;
}

/**
 * Send a request and return its decoded answer; null for one without content.
 *
 * @param {string} path
 * @param {Options} [options]
 */
export async function requestJson(path, options) {
  const response = await send(path, options);
  return response.status === 204 ? null : response.json();
}

/**
 * Send a request and return the events of its answer, decoded. A reader that stops ends the request.
 *
 * @param {string} path
 * @param {Options} [options]
 * @returns {AsyncGenerator<any>}
 * @throws {ApiError} also for an error inside the stream
 */
export async function* requestEvents(path, options) {
  const response = await send(path, {method: "POST", ...options});
  try {
    for await (const data of readEvents(response.body)) {
      if (data === "[DONE]") continue; // the body ends by itself; leaving it would look like a cancellation
      const event = JSON.parse(data);
      if (event.error) {
        const problem = new ApiError(response.status, event.error);
        noteRejection(path, problem);
        throw problem;
      }
      yield event;
    }
  } catch (error) {
    throw error instanceof TypeError ? lost(error) : error;
  }
}

/**
 * Whether the browser asks for this very path. A name in it may come from a link or a file: with `..` or a backslash
 * in it, the request would go elsewhere, with the session's key.
 */
function isPlain(path) {
  return new URL(path, location.origin).pathname === path.split(/[?#]/, 1)[0];
}

/** Count an error that says that the key is no longer accepted. For such keys, the administration does not exist. */
function noteRejection(path, {status, code}) {
  const isHidden = status === 404 && code === "unknown_url" && isAdministrative(path);
  if (status === 401 || code === REJECTED || isHidden) rejections.set(rejections.get() + 1);
}

/** @param {unknown} error whether it is an abortion, which is passed on, or a lost connection */
function lost(error) {
  if (error.name === "AbortError") return error;
  reportLost();
  return new ApiError(0, {message: ""});
}

async function readError(response) {
  try {
    return (await response.json()).error ?? {};
  } catch {
    return {message: response.statusText};
  }
}

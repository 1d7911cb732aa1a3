/**
 * Sends a form with a file and says how much of it has arrived, which `fetch` cannot.
 */
import {ApiError} from "./client.js";
import {reportLost} from "./connection.js";
import {keyFor} from "./keys.js";

/**
 * @param {string} path
 * @param {FormData} form
 * @param {object} [options]
 * @param {(share: number) => void} [options.onProgress] from 0 to 1
 * @param {AbortSignal} [options.signal]
 * @returns {Promise<any>} the decoded answer
 * @throws {ApiError} as `send` does; an AbortError if `signal` ended it
 */
export function sendForm(path, form, {onProgress = () => {}, signal} = {}) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", path);
    request.responseType = "json";
    const key = keyFor(path);
    if (key) request.setRequestHeader("authorization", `Bearer ${key}`);
    request.upload.onprogress = ({loaded, total}) => onProgress(total ? loaded / total : 0);
    request.onload = () => {
      if (request.status < 400) resolve(request.response);
      else reject(new ApiError(request.status, request.response?.error ?? {message: request.statusText}));
    };
    request.onerror = () => {
      reportLost();
      reject(new ApiError(0, {message: ""}));
    };
    request.onabort = () => reject(new DOMException("", "AbortError"));
    signal?.addEventListener("abort", () => request.abort());
    request.send(form);
  });
}

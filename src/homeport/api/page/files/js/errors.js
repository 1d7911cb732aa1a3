/**
 * What to say about an error: in the page's words where they help, else in the server's.
 */
import {ApiError} from "./client.js";
import {t} from "./i18n.js";

/**
 * @param {unknown} error
 * @returns {string}
 */
export function describeError(error) {
  if (!(error instanceof ApiError)) return t("error.unexpected");
  if (error.status === 0) return t("error.unreachable");
  if (error.code === "not_an_admin_key") return t("error.not_an_admin_key");
  if (error.code === "invalid_page_link") return t("error.link");
  if (error.status === 401) return t("error.key");
  return error.message || t("error.status", {status: error.status});
}

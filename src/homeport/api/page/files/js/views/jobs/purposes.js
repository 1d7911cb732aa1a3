/**
 * What files are for, in words.
 */
import {t} from "../../i18n.js";

/** The purposes that an upload may have. */
export const PURPOSES = ["fine-tune", "batch", "user_data", "assistants", "vision", "evals"];

/** @returns {Record<string, string>} names by purpose, also of those that the server itself uses */
export function purposeNames() {
  return {
    "fine-tune": t("jobs.for_tuning"), batch: t("jobs.for_batch"), user_data: t("jobs.for_user_data"),
    assistants: t("jobs.for_assistants"), vision: t("jobs.for_vision"), evals: t("jobs.for_evals"),
    batch_output: t("jobs.from_batch"), "fine-tune-results": t("jobs.from_tuning"),
  };
}

/**
 * Copies a message, and says whether that worked.
 */
import {copyText} from "../../clipboard.js";
import {showToast} from "../../components/toast.js";
import {t} from "../../i18n.js";

/** @param {string} text */
export async function copyWithNotice(text) {
  showToast((await copyText(text)) ? t("code.copied") : t("code.not_copied"));
}

/**
 * How far an upload is, and which files failed.
 */
import {Button, IconButton} from "../../components/button.js";
import {Progress} from "../../components/states.js";
import {describeError} from "../../errors.js";
import {formatNumber} from "../../format.js";
import {html} from "../../html.js";
import {t} from "../../i18n.js";
import {forgetUpload, stopUpload} from "./uploads.js";

/** @param {{id: string, upload: import("./uploads.js").Upload}} props */
export function UploadList({id, upload}) {
  const {total, done, name, share, failures} = upload;
  const at = {at: formatNumber(Math.min(done + 1, total)), total: formatNumber(total)};
  return html`
    ${name && html`
      <div class="box stores-upload" role="status">
        <span>${t("stores.uploading", at)}</span>
        <${Progress} label=${t("stores.uploading", at)} value=${(done + share) / total} />
        <span class="muted small clip" title=${name}>${name}</span>
        <${Button} onClick=${() => stopUpload(id)}>${t("stores.stop")}<//>
      </div>`}
    ${failures.length > 0 && html`
      <div class="notice notice-error stores-failures" role="alert">
        <strong>${t("stores.not_uploaded")}</strong>
        ${!name && html`
          <${IconButton} icon="close" label=${t("stores.dismiss")} onClick=${() => forgetUpload(id)} />`}
        <ul>
          ${failures.map((failure, at) => html`
            <li key=${at}><strong>${failure.name}</strong> ${describeError(failure.error)}</li>`)}
        </ul>
      </div>`}`;
}

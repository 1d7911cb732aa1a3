/**
 * Uploading a file: which one, and what it is for.
 */
import {Button} from "../../components/button.js";
import {DialogFrame} from "../../components/dialog.js";
import {SelectField} from "../../components/field.js";
import {Progress} from "../../components/states.js";
import {describeError} from "../../errors.js";
import {formatBytes} from "../../format.js";
import {html, useEffect, useRef, useState} from "../../html.js";
import {t} from "../../i18n.js";
import {sendForm} from "../../upload.js";
import {purposeNames, PURPOSES} from "./purposes.js";

/**
 * @param {object} props
 * @param {string} [props.purpose] the one that it is for; otherwise it is asked
 * @param {() => void} props.onClose
 * @param {(file: {id: string}) => void} props.onUploaded
 */
export function UploadDialog({purpose: given, onClose, onUploaded}) {
  const [purpose, setPurpose] = useState(given ?? PURPOSES[0]);
  const [file, setFile] = useState(null);
  const [sent, setSent] = useState(null);
  const [error, setError] = useState(null);
  const control = useRef(null);
  useEffect(() => () => control.current?.abort(), []);
  const names = purposeNames();
  const upload = async (event) => {
    event.preventDefault();
    event.stopPropagation(); // the dialog may be inside of another form
    const form = new FormData();
    form.append("purpose", purpose);
    form.append("file", file);
    control.current = new AbortController();
    setError(null);
    setSent(0);
    try {
      const made = await sendForm("/v1/files", form, {onProgress: setSent, signal: control.current.signal});
      onUploaded(made);
      onClose();
    } catch (failure) {
      if (!control.current.signal.aborted) setError(failure);
      setSent(null);
    }
  };
  const hints = {"fine-tune": t("jobs.hint_tuning"), batch: t("jobs.hint_batch")};
  return html`
    <${DialogFrame} label=${t("jobs.upload_title")} onClose=${onClose}>
      <form class="dialog-form" onSubmit=${upload}>
        <h2>${t("jobs.upload_title")}</h2>
        <div class="field">
          <label for="upload-file">${t("jobs.file")}</label>
          <input id="upload-file" class="input file-input" type="file" disabled=${sent !== null}
            onChange=${(event) => setFile(event.target.files[0] ?? null)} />
        </div>
        ${!given && html`
          <${SelectField} label=${t("jobs.purpose")} value=${purpose} onChoose=${setPurpose} disabled=${sent !== null}
            options=${PURPOSES.map((value) => ({value, name: names[value]}))} />`}
        ${hints[purpose] && html`<p class="muted small">${hints[purpose]}</p>`}
        ${sent !== null && html`
          <div><${Progress} label=${t("jobs.uploading")} value=${sent} />
            <p class="muted small" role="status">
              ${sent < 1 ? t("jobs.uploading_size", {size: formatBytes(file.size)}) : t("jobs.checking")}</p></div>`}
        ${Boolean(error) && html`<p class="notice notice-error" role="alert">${describeError(error)}</p>`}
        <div class="dialog-actions">
          <${Button} onClick=${onClose}>${t("shell.cancel")}<//>
          <${Button} kind="primary" type="submit" disabled=${!file} isBusy=${sent !== null}>${t("jobs.upload")}<//>
        </div>
      </form>
    <//>`;
}

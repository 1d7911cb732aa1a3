/**
 * The choice of one of the caller's files for a purpose, or of a new one.
 */
import {Button} from "../../components/button.js";
import {SelectField} from "../../components/field.js";
import {html, useState} from "../../html.js";
import {t} from "../../i18n.js";
import {useResource} from "../../resource.js";
import {listFilesFor} from "./file_actions.js";
import {UploadDialog} from "./upload_dialog.js";

/**
 * @param {object} props
 * @param {string} props.label
 * @param {string} props.purpose
 * @param {string} props.value the id of a file; empty: none
 * @param {(id: string) => void} props.onChoose
 * @param {string} [props.none] the name of choosing none, if that is possible
 */
export function FileField({label, purpose, value, onChoose, none}) {
  const {value: files, reload} = useResource((signal) => listFilesFor(purpose, signal), [purpose]);
  const [isUploading, setUploading] = useState(false);
  const uploaded = (file) => {
    reload();
    onChoose(file.id);
  };
  const options = [
    {value: "", name: none ?? (files?.length === 0 ? t("jobs.no_such_file") : t("jobs.choose"))},
    ...(files ?? []).map(({id, filename}) => ({value: id, name: `${filename} · ${id.slice(-6)}`})),
  ];
  return html`
    <div class="file-field">
      <${SelectField} label=${label} value=${value} options=${options} onChoose=${onChoose} />
      <${Button} icon="upload" onClick=${() => setUploading(true)}>${t("jobs.upload")}<//>
      ${isUploading && html`
        <${UploadDialog} purpose=${purpose} onClose=${() => setUploading(false)} onUploaded=${uploaded} />`}
    </div>`;
}

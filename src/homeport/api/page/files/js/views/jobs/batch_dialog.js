/**
 * A new batch: its file, whose first line says the endpoint.
 */
import {Button} from "../../components/button.js";
import {DialogFrame} from "../../components/dialog.js";
import {SelectField} from "../../components/field.js";
import {requestJson} from "../../client.js";
import {describeError} from "../../errors.js";
import {html, useEffect, useState} from "../../html.js";
import {t} from "../../i18n.js";
import {readBeginning} from "./file_actions.js";
import {FileField} from "./file_field.js";

const ENDPOINTS = [
  "/v1/chat/completions", "/v1/responses", "/v1/completions", "/v1/edits", "/v1/embeddings", "/v1/moderations",
  "/v1/images/generations", "/v1/images/edits",
];

/** @param {{onClose: () => void, onCreated: () => void}} props */
export function BatchDialog({onClose, onCreated}) {
  const [file, setFile] = useState("");
  const [endpoint, setEndpoint] = useState(ENDPOINTS[0]);
  const [isBusy, setBusy] = useState(false);
  const [error, setError] = useState(null);
  useEffect(() => {
    if (!file) return undefined;
    const control = new AbortController();
    findEndpoint(file, control.signal).then((found) => found && setEndpoint(found), () => {});
    return () => control.abort();
  }, [file]);
  const create = async (event) => {
    event.preventDefault();
    setBusy(true);
    setError(null);
    try {
      const body = {input_file_id: file, endpoint, completion_window: "24h"};
      await requestJson("/v1/batches", {method: "POST", body});
      onCreated();
      onClose();
    } catch (failure) {
      setError(failure);
      setBusy(false);
    }
  };
  return html`
    <${DialogFrame} label=${t("jobs.new_batch")} onClose=${onClose}>
      <form class="dialog-form" onSubmit=${create}>
        <h2>${t("jobs.new_batch")}</h2>
        <p class="muted small">${t("jobs.batch_about")}</p>
        <${FileField} label=${t("jobs.file")} purpose="batch" value=${file} onChoose=${setFile} />
        <${SelectField} label=${t("jobs.endpoint")} value=${endpoint} onChoose=${setEndpoint}
          options=${ENDPOINTS.map((value) => ({value, name: value}))} />
        ${Boolean(error) && html`<p class="notice notice-error" role="alert">${describeError(error)}</p>`}
        <div class="dialog-actions">
          <${Button} onClick=${onClose}>${t("shell.cancel")}<//>
          <${Button} kind="primary" type="submit" disabled=${!file} isBusy=${isBusy}>${t("jobs.create")}<//>
        </div>
      </form>
    <//>`;
}

/** Return the endpoint that a file's first line names; undefined if it names none. */
async function findEndpoint(file, signal) {
  const {text} = await readBeginning(file, signal);
  const {url} = JSON.parse(text.split("\n")[0]);
  return ENDPOINTS.find((endpoint) => endpoint === url || endpoint === `/v1${url}`);
}

/**
 * The dialogs that create, change and delete a store.
 */
import {Button} from "../../components/button.js";
import {ConfirmDialog, DialogFrame} from "../../components/dialog.js";
import {SelectField, TextField} from "../../components/field.js";
import {showToast} from "../../components/toast.js";
import {requestJson} from "../../client.js";
import {describeError} from "../../errors.js";
import {formatNumber} from "../../format.js";
import {html, useState} from "../../html.js";
import {t} from "../../i18n.js";
import {pathOf} from "./store_data.js";

const DAYS = [7, 30, 90, 365];
const MAX_NAME = 256;

/**
 * @param {object} props
 * @param {import("./store_data.js").Store} [props.item] the store to change; without it, one is created
 * @param {string[]} props.models those that a new store may use
 * @param {(store: import("./store_data.js").Store) => void} props.onSaved
 * @param {() => void} props.onClose
 */
export function StoreDialog({item, models, onSaved, onClose}) {
  const [name, setName] = useState(item?.name ?? "");
  const [days, setDays] = useState(String(item?.expires_after?.days ?? ""));
  const [model, setModel] = useState(models[0] ?? "");
  const [error, setError] = useState(null);
  const [isBusy, setBusy] = useState(false);
  const save = async (event) => {
    event.preventDefault();
    setBusy(true);
    setError(null);
    const expiry = days ? {anchor: "last_active_at", days: Number(days)} : null;
    const body = {name: name.trim(), expires_after: expiry, ...(item ? {} : {embedding_model: model})};
    try {
      onSaved(await requestJson(item ? pathOf(item.id) : "/v1/vector_stores", {method: "POST", body}));
    } catch (failure) {
      setError(failure);
      setBusy(false);
    }
  };
  const title = item ? t("stores.edit_title") : t("stores.create");
  const own = item?.expires_after ? [item.expires_after.days] : [];
  const choices = [...new Set([...DAYS, ...own])].sort((a, b) => a - b);
  const expiries = [
    {value: "", name: t("stores.never")},
    ...choices.map((each) => ({value: String(each), name: t("stores.after_days", {days: formatNumber(each)})})),
  ];
  return html`
    <${DialogFrame} label=${title} onClose=${onClose}>
      <form class="dialog-form stores-form" onSubmit=${save}>
        <h2>${title}</h2>
        <${TextField} label=${t("stores.name")} value=${name} required=${true} maxlength=${MAX_NAME}
          autocomplete="off" placeholder=${t("stores.name_example")} onInput=${({target}) => setName(target.value)} />
        <${SelectField} label=${t("stores.expiry")} options=${expiries} value=${days} onChoose=${setDays} />
        ${!item && models.length > 1 && html`
          <${SelectField} label=${t("stores.model")} value=${model} onChoose=${setModel}
            options=${models.map((value) => ({value, name: value}))} />`}
        ${Boolean(error) && html`<p class="notice notice-error" role="alert">${describeError(error)}</p>`}
        <div class="dialog-actions">
          <${Button} onClick=${onClose}>${t("shell.cancel")}<//>
          <${Button} kind="primary" type="submit" isBusy=${isBusy} disabled=${!name.trim()}>
            ${item ? t("stores.save") : t("stores.create_short")}<//>
        </div>
      </form>
    <//>`;
}

/**
 * @param {object} props
 * @param {import("./store_data.js").Store} props.item
 * @param {() => void} props.onDeleted
 * @param {() => void} props.onClose
 */
export function DeleteStoreDialog({item, onDeleted, onClose}) {
  const name = item.name || t("stores.unnamed");
  const remove = async () => {
    try {
      await requestJson(pathOf(item.id), {method: "DELETE"});
      showToast(t("stores.deleted", {name}));
      onDeleted();
    } catch (error) {
      showToast(describeError(error), "error");
    }
  };
  return html`
    <${ConfirmDialog} title=${t("stores.delete_title")} text=${t("stores.delete_text", {name})}
      confirm=${t("stores.delete")} cancel=${t("shell.cancel")} onConfirm=${remove} onClose=${onClose} />`;
}

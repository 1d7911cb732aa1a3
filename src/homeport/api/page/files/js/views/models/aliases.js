/**
 * The names that stand for models: which there are, and what each stands for.
 */
import {Button, IconButton} from "../../components/button.js";
import {Chips, SearchField} from "../../components/chips.js";
import {ConfirmDialog, DialogFrame} from "../../components/dialog.js";
import {SelectField, TextField} from "../../components/field.js";
import {prose} from "../../components/prose.js";
import {EmptyState, ErrorState, Skeleton} from "../../components/states.js";
import {showToast} from "../../components/toast.js";
import {describeError} from "../../errors.js";
import {formatNumber} from "../../format.js";
import {html, useState} from "../../html.js";
import {t} from "../../i18n.js";
import {deleteAlias, resetAlias, saveAlias, useAliases} from "./library.js";

/** @param {{models: import("./library.js").LibraryModel[], onChange: () => void}} props `models`: the installed ones */
export function Aliases({models, onChange}) {
  const {value: aliases, error, reload} = useAliases();
  const [text, setText] = useState("");
  const [origin, setOrigin] = useState("");
  const [dialog, setDialog] = useState(null);
  if (error && !aliases) {
    return html`<${ErrorState} title=${t("models.aliases_failed")} text=${describeError(error)}
      action=${t("shell.retry")} onAction=${reload} />`;
  }
  if (!aliases) return html`<${Skeleton} lines=${6} />`;
  const changed = () => {
    reload();
    onChange();
  };
  const shown = aliases.filter((alias) => (!origin || alias.origin === origin)
    && `${alias.id} ${alias.target ?? ""}`.toLowerCase().includes(text.trim().toLowerCase()));
  return html`
    <p class="muted">${t("models.aliases_about")}</p>
    <div class="toolbar">
      <${SearchField} label=${t("models.search_aliases")} value=${text} onChange=${setText} />
      <${Chips} label=${t("models.origin")} options=${originOptions(aliases)} value=${origin} onChoose=${setOrigin} />
      <${Button} icon="plus" disabled=${!models.length} onClick=${() => setDialog({kind: "add"})}>
        ${t("models.add_alias")}
      <//>
    </div>
    ${shown.length
      ? html`<ul class="rows" aria-label=${t("models.tab_aliases")}>${shown.map((alias) => html`
          <${AliasRow} key=${alias.id} alias=${alias} onChange=${changed} onAsk=${setDialog} />`)}</ul>`
      : html`<${EmptyState} title=${t("models.nothing_found")} text=${t("models.nothing_found_hint")} />`}
    ${["add", "edit"].includes(dialog?.kind) && html`
      <${AliasDialog} alias=${dialog.alias} models=${models} onSaved=${changed} onClose=${() => setDialog(null)} />`}
    ${dialog?.kind === "delete" && html`
      <${ConfirmDialog} title=${t("models.alias_delete_title", {name: dialog.alias.id})}
        text=${t("models.alias_delete_text")} confirm=${t("models.delete")} cancel=${t("shell.cancel")}
        onConfirm=${() => act(() => deleteAlias(dialog.alias.id), changed)} onClose=${() => setDialog(null)} />`}`;
}

function originOptions(aliases) {
  const names = {
    "": t("models.all"), recorded: t("models.origin_recorded"), built_in: t("models.origin_built_in"),
    setting: t("models.origin_setting"),
  };
  const count = (origin) => aliases.filter((alias) => !origin || alias.origin === origin).length;
  return Object.entries(names).filter(([value]) => !value || count(value))
    .map(([value, name]) => ({value, name, count: formatNumber(count(value))}));
}

async function act(action, onDone) {
  try {
    await action();
  } catch (error) {
    showToast(describeError(error), "error");
  }
  onDone();
}

function AliasRow({alias, onChange, onAsk}) {
  const {id, target, origin, served} = alias;
  const origins = {recorded: t("models.origin_recorded"), setting: t("models.origin_setting")};
  return html`
    <li class="row alias" aria-label=${id}>
      <div class="alias-text">
        <strong class="clip" title=${id}>${id}</strong>
        <span class="clip alias-target" title=${target ?? ""}>
          ${target === null ? html`<span class="muted">${t("models.alias_removed")}</span>` : `→ ${target}`}</span>
        ${origins[origin] && html`<span class="tag">${origins[origin]}</span>`}
        ${target !== null && !served && html`<span class="tag fit-tight">${t("models.not_installed")}</span>`}
      </div>
      ${origin !== "setting" && html`
        <div class="row-actions">
          ${origin === "recorded" && html`
            <${IconButton} icon="retry" label=${t("models.reset_alias", {name: id})}
              onClick=${() => act(() => resetAlias(id), onChange)} />`}
          <${IconButton} icon="edit" label=${t("models.edit_alias", {name: id})}
            onClick=${() => onAsk({kind: "edit", alias})} />
          ${target !== null && html`
            <${IconButton} icon="trash" label=${t("models.delete_alias", {name: id})}
              onClick=${() => onAsk({kind: "delete", alias})} />`}
        </div>`}
    </li>`;
}

function AliasDialog({alias, models, onSaved, onClose}) {
  const [name, setName] = useState(alias?.id ?? "");
  const [target, setTarget] = useState(models.find((each) => each.id === alias?.target)?.id ?? models[0].id);
  const [error, setError] = useState(null);
  const title = alias ? t("models.edit_alias", {name: alias.id}) : t("models.add_alias");
  const submit = async (event) => {
    event.preventDefault();
    try {
      await saveAlias(name.trim(), target);
      onSaved();
      onClose();
    } catch (problem) {
      setError(problem);
    }
  };
  const rename = (event) => {
    setError(null);
    setName(event.target.value);
  };
  return html`
    <${DialogFrame} label=${title} onClose=${onClose}>
      <form class="dialog-form" onSubmit=${submit}>
        <h2>${title}</h2>
        ${!alias && html`
          <${TextField} label=${t("models.alias_name")} value=${name} onInput=${rename} autocomplete="off" autofocus
            spellcheck=${false} hint=${t("models.alias_hint")} />`}
        <${SelectField} label=${t("models.alias_target")} value=${target} onChoose=${setTarget}
          options=${models.map(({id}) => ({value: id, name: id}))} />
        ${error && html`<p class="notice notice-error" role="alert">${prose(describeError(error))}</p>`}
        <div class="dialog-actions">
          <${Button} onClick=${onClose}>${t("shell.cancel")}<//>
          <${Button} kind="primary" type="submit" disabled=${!name.trim()}>${t("models.save")}<//>
        </div>
      </form>
    <//>`;
}

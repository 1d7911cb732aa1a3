/**
 * The models that a fine-tune saved after its last epochs.
 */
import {Table} from "../../components/table.js";
import {requestJson} from "../../client.js";
import {formatNumber} from "../../format.js";
import {html} from "../../html.js";
import {t} from "../../i18n.js";
import {useResource} from "../../resource.js";

/** @param {{path: string, change: unknown}} props they are listed again after each change */
export function Checkpoints({path, change}) {
  const {value} = useResource((signal) => requestJson(`${path}?limit=10`, {signal}), [path, change]);
  if (!value?.data.length) return null;
  const loss = (name) => ({metrics}) => (metrics[name] === undefined ? "–" : formatNumber(metrics[name], 4));
  const hasValidation = value.data.some(({metrics}) => metrics.full_valid_loss !== undefined);
  const columns = [
    {name: "step", title: t("jobs.step"), isNumber: true, cell: ({step_number: step}) => formatNumber(step)},
    {name: "train", title: t("jobs.train_loss"), isNumber: true, cell: loss("train_loss")},
    ...(hasValidation ? [{
      name: "valid", title: t("jobs.valid_loss"), isNumber: true, cell: loss("full_valid_loss"),
    }] : []),
    {name: "model", title: t("jobs.model"), cell: ({fine_tuned_model_checkpoint: name}) => html`<code>${name}</code>`},
  ];
  return html`
    <section aria-label=${t("jobs.checkpoints")}>
      <h3>${t("jobs.checkpoints")}</h3>
      <${Table} label=${t("jobs.checkpoints")} columns=${columns} rows=${value.data} rowKey=${({id}) => id} />
    </section>`;
}

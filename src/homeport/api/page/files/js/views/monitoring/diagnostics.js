/**
 * A button that copies what a report of a problem needs: versions, workers, the last minute, warnings of the log.
 */
import {Button} from "../../components/button.js";
import {showToast} from "../../components/toast.js";
import {requestJson} from "../../client.js";
import {copyText} from "../../clipboard.js";
import {describeError} from "../../errors.js";
import {html, useState} from "../../html.js";
import {t} from "../../i18n.js";

const SECONDS = 60;
const LINES = 100;

/** The button. */
export function CopyDiagnostics() {
  const [isBusy, setBusy] = useState(false);
  const copy = async () => {
    setBusy(true);
    try {
      const isCopied = await copyText(JSON.stringify(await collect(), null, 2));
      if (isCopied) showToast(t("monitoring.diagnostics_copied"));
      else showToast(t("code.not_copied"), "error");
    } catch (error) {
      showToast(describeError(error), "error");
    }
    setBusy(false);
  };
  return html`
    <${Button} icon="copy" isBusy=${isBusy} title=${t("monitoring.diagnostics_hint")} onClick=${copy}>
      ${t("monitoring.diagnostics")}
    <//>`;
}

async function collect() {
  const after = Date.now() / 1000 - SECONDS;
  const [self, workers, series, log] = await Promise.all([
    requestJson("/admin/v1/self"),
    requestJson("/admin/v1/workers"),
    requestJson(`/admin/v1/metrics/series?after=${after}`),
    requestJson(`/admin/v1/logs?level=warning&limit=${LINES}`),
  ]);
  return {
    version: self.version, features: self.features, time: new Date().toISOString(), browser: navigator.userAgent,
    workers: workers.data, last_minute: series, warnings: log.data,
  };
}

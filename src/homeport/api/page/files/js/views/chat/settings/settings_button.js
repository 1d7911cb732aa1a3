/**
 * The button that shows and hides the settings; a dot on it says that some are set.
 */
import {IconButton} from "../../../components/button.js";
import {html} from "../../../html.js";
import {t} from "../../../i18n.js";
import {useSignal} from "../../../signal.js";
import {settings} from "../settings_state.js";
import {isSettingsOpen} from "./kept_settings.js";
import {countSet} from "./settings_fields.js";

/** The button. */
export function SettingsButton() {
  const isOpen = useSignal(isSettingsOpen);
  const count = countSet(useSignal(settings));
  return html`
    <span class=${count ? "settings-button settings-button-set" : "settings-button"}>
      <${IconButton} icon="settings" aria-expanded=${isOpen} onClick=${() => isSettingsOpen.set(!isOpen)}
        label=${count ? t("chat.settings_set", {count}) : t("chat.settings")} />
    </span>`;
}

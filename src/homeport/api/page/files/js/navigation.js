/**
 * The navigation: a link for each view, and below them the language, the theme and the session.
 */
import {lazy} from "./components/lazy.js";
import {Menu} from "./components/menu.js";
import {html, useState} from "./html.js";
import {chooseLanguage, language, LANGUAGES, t} from "./i18n.js";
import {Icon} from "./icons.js";
import {addressOf} from "./router.js";
import {session, signOut} from "./session.js";
import {useSignal} from "./signal.js";
import {chooseTheme, theme, THEMES} from "./theme.js";

const AdminDialog = lazy(() => import("./sign_in/admin_dialog.js").then((module) => module.AdminDialog));
const THEME_ICONS = {system: "system", light: "sun", dark: "moon"};

/** @param {{views: import("./views.js").View[], current?: import("./views.js").View}} props */
export function Navigation({views, current}) {
  return html`
    <nav class="navigation" aria-label=${t("shell.views")}>
      <${Group} views=${views.filter(({group}) => group === "use")} current=${current} title=${t("shell.group_use")} />
      <${Group} views=${views.filter(({group}) => group === "manage")} current=${current}
        title=${t("shell.group_manage")} />
    </nav>
    <div class="preferences"><${Account} /><${LanguageMenu} /><${ThemeMenu} /></div>`;
}

function Group({views, current, title}) {
  if (!views.length) return null;
  return html`
    <h2 class="nav-group">${title}</h2>
    <ul>
      ${views.map((view) => html`
        <li key=${view.name}>
          <a class="nav-link" href=${addressOf(view.name)} aria-current=${view === current ? "page" : undefined}>
            <${Icon} name=${view.icon} /><span>${t(view.title)}</span>
          </a>
        </li>`)}
    </ul>`;
}

/** The choice of the language. */
export function LanguageMenu() {
  const chosen = useSignal(language);
  const items = Object.entries(LANGUAGES).map(([code, name]) => ({
    name, lang: code, isChecked: code === chosen, onChoose: () => chooseLanguage(code),
  }));
  return html`<${Menu} icon="language" label=${t("shell.language")} items=${items} />`;
}

/** The choice of light or dark. */
export function ThemeMenu() {
  const chosen = useSignal(theme);
  const names = {system: t("shell.theme_system"), light: t("shell.theme_light"), dark: t("shell.theme_dark")};
  const items = THEMES.map((name) => ({
    name: names[name], isChecked: name === chosen, onChoose: () => chooseTheme(name),
  }));
  return html`<${Menu} icon=${THEME_ICONS[chosen]} label=${t("shell.theme")} items=${items} />`;
}

/** Whose key the page has, the way to the administration, and the way out where there is one. */
function Account() {
  const {access} = useSignal(session);
  const [isAsking, setAsking] = useState(false);
  const {caller, admin, keyless} = access;
  const name = admin ? t("shell.admin") : (caller?.name ?? caller?.key ?? t("shell.local"));
  const items = [
    ...(admin ? [] : [{name: t("sign_in.admin"), icon: "key", onChoose: () => setAsking(true)}]),
    ...(keyless && !admin ? [] : [{name: t("shell.sign_out"), icon: "out", onChoose: signOut}]),
  ];
  return html`
    <${Menu} icon="key" label=${t("shell.account")} text=${name} items=${items} />
    ${isAsking && html`<${AdminDialog} onClose=${() => setAsking(false)} />`}`;
}

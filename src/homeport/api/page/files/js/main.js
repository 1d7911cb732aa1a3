/**
 * The page's entry: signs in by a link if the address has one, and draws the page.
 */
import {showToast} from "./components/toast.js";
import {describeError} from "./errors.js";
import {createElement, render} from "./html.js";
import {language, languageTag} from "./i18n.js";
import {addressOf, replaceAddress, route} from "./router.js";
import {refreshSession, session, signInByLink} from "./session.js";
import {Shell} from "./shell.js";
import {applyTheme} from "./theme.js";

const LINK = "link";

async function begin() {
  const {view, rest} = route.get();
  if (view !== LINK) return refreshSession();
  replaceAddress(addressOf("")); // the token must not stay in the history
  await signInByLink(rest[0] ?? "");
  const {state, error} = session.get();
  if (state === "open" && error) showToast(describeError(error), "error");
}

function showLanguage() {
  document.documentElement.lang = languageTag();
}

applyTheme();
showLanguage();
language.subscribe(showLanguage);
addEventListener("hashchange", () => route.get().view === LINK && begin());
render(createElement(Shell, null), document.getElementById("page"));
begin();

/**
 * The page's entry: draws the page. `opening.js` has begun to open the session by then.
 */
import {showToast} from "./components/toast.js";
import {describeError} from "./errors.js";
import {createElement, render} from "./html.js";
import {language, languageTag} from "./i18n.js";
import {session} from "./session.js";
import {Shell} from "./shell.js";
import {applyTheme} from "./theme.js";

/** Say why a link was of no use to a tab that has a session without it. */
function showRefusedLink() {
  const {state, error} = session.get();
  if (state === "open" && error) showToast(describeError(error), "error");
}

function showLanguage() {
  document.documentElement.lang = languageTag();
}

applyTheme();
showLanguage();
language.subscribe(showLanguage);
session.subscribe(showRefusedLink);
render(createElement(Shell, null), document.getElementById("page"));
showRefusedLink();

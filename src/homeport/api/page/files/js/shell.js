/**
 * The frame around every view: navigation, preferences, the notice of a lost connection, and the view itself.
 */
import {Boundary} from "./components/boundary.js";
import {DialogFrame} from "./components/dialog.js";
import {IconButton} from "./components/button.js";
import {lazy} from "./components/lazy.js";
import {ErrorState, Skeleton} from "./components/states.js";
import {Toasts} from "./components/toast.js";
import {isConnected} from "./connection.js";
import {html, useEffect, useRef, useState} from "./html.js";
import {language, t} from "./i18n.js";
import {askAhead} from "./models.js";
import {Navigation} from "./navigation.js";
import {addressOf, route} from "./router.js";
import {session} from "./session.js";
import {useSignal} from "./signal.js";
import {allowedViews} from "./views.js";

const SignIn = lazy(() => import("./sign_in/sign_in.js").then((module) => module.SignIn));

/** The whole page. */
export function Shell() {
  useSignal(language);
  const {state, access} = useSignal(session);
  const connected = useSignal(isConnected);
  const [isOpen, setOpen] = useState(false);
  const views = allowedViews(access);
  const name = useSignal(route).view;
  const view = views.find((each) => each.name === name) ?? views[0];
  useEffect(() => {
    document.title = view ? `${t(view.title)} · Homeport` : "Homeport";
  });
  useEffect(() => setOpen(false), [name]);
  return html`
    <a class="skip" href="#content" onClick=${focusContent}>${t("shell.skip")}</a>
    <div class=${state === "open" ? "shell" : "shell shell-single"}>
      ${state === "open" && html`<${Sidebar} views=${views} current=${view} />`}
      ${state === "open" && html`<${TopBar} title=${view && t(view.title)} onMenu=${() => setOpen(true)} />`}
      <div class="column">
        ${!connected && html`<${LostNotice} />`}
        <main id="content" tabindex="-1"><${Content} state=${state} view=${view} views=${views} /></main>
      </div>
    </div>
    ${isOpen && html`<${Drawer} views=${views} current=${view} onClose=${() => setOpen(false)} />`}
    <${Toasts} />`;
}

/** Moves the focus without changing the address, which names the view. */
function focusContent(event) {
  event.preventDefault();
  document.getElementById("content").focus();
}

function Content({state, view, views}) {
  if (state === "loading") return html`<div class="page-body"><${Skeleton} lines=${4} /></div>`;
  if (state === "closed") return html`<${SignIn} />`;
  if (!view) return html`<div class="page-body"><${ErrorState} title=${t("shell.nothing_allowed")} /></div>`;
  return html`<${LoadedView} key=${view.name} view=${view} views=${views} />`;
}

/** Shows a view once its module has arrived. `views`: all that the key may use. */
function LoadedView({view, views}) {
  const [shown, setShown] = useState({component: null, error: null});
  const isMounted = useRef(true);
  const load = () => view.load().then(
    (module) => isMounted.current && setShown({component: module.default, error: null}),
    (error) => isMounted.current && setShown({component: null, error}),
  );
  useEffect(() => {
    if (view.showsModels) askAhead();
    load();
    return () => {
      isMounted.current = false;
    };
  }, []);
  if (shown.error) return html`<${ViewFailed} />`;
  if (!shown.component) return html`<div class="page-body"><${Skeleton} lines=${4} /></div>`;
  return html`<${Boundary} fallback=${html`<${ViewFailed} />`}><${shown.component} views=${views} /><//>`;
}

function ViewFailed() {
  const reload = () => location.reload();
  return html`
    <div class="page-body">
      <${ErrorState} title=${t("shell.view_failed")} action=${t("shell.reload")} onAction=${reload} />
    </div>`;
}

function Sidebar({views, current}) {
  return html`<aside class="sidebar"><${Brand} /><${Navigation} views=${views} current=${current} /></aside>`;
}

function TopBar({title, onMenu}) {
  return html`
    <header class="topbar">
      <${IconButton} icon="menu" label=${t("shell.menu")} onClick=${onMenu} />
      <span class="topbar-title">${title}</span>
    </header>`;
}

function Drawer({views, current, onClose}) {
  return html`
    <${DialogFrame} label=${t("shell.menu")} className="drawer" onClose=${onClose}>
      <div class="drawer-head">
        <${Brand} /><${IconButton} icon="close" label=${t("shell.close")} onClick=${onClose} />
      </div>
      <div class="drawer-body" onClick=${(event) => event.target.closest("a") && onClose()}>
        <${Navigation} views=${views} current=${current} />
      </div>
    <//>`;
}

function Brand() {
  const name = "Homeport";
  return html`<a class="brand" href=${addressOf("")}><span class="brand-mark" aria-hidden="true"></span>${name}</a>`;
}

function LostNotice() {
  return html`<div class="notice notice-warning" role="status">${t("shell.lost")}</div>`;
}

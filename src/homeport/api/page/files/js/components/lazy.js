/**
 * Components that are loaded when they are shown first, so that a view itself arrives sooner.
 */
import {html, useEffect, useState} from "../html.js";
import {t} from "../i18n.js";
import {showToast} from "./toast.js";

/**
 * Return a component that shows nothing until the real one has arrived.
 *
 * @param {() => Promise<Function>} load
 * @returns {(props: any) => unknown}
 */
export function lazy(load) {
  let found = null;
  return function Lazy(props) {
    const [, draw] = useState(0);
    useEffect(() => {
      if (found) return;
      load().then((component) => {
        found = component;
        draw(1);
      }, () => showToast(t("shell.view_failed"), "error"));
    }, []);
    return found && html`<${found} ...${props} />`;
  };
}

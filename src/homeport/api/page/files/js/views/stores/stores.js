/**
 * The view of vector stores: the list of all, or one with its documents.
 */
import {html} from "../../html.js";
import {addWords} from "../../i18n.js";
import {route} from "../../router.js";
import {useSignal} from "../../signal.js";
import {StoreDetail} from "./store_detail.js";
import {StoreList} from "./store_list.js";
import english from "./words/en.js";
import chinese from "./words/zh.js";

addWords({en: english, zh: chinese});

/** The view. */
export default function Stores() {
  const [id] = useSignal(route).rest;
  return html`
    <div class="page-body stores">${id ? html`<${StoreDetail} key=${id} id=${id} />` : html`<${StoreList} />`}</div>`;
}

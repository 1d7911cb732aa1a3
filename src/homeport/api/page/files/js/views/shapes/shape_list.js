/**
 * The shapes of this visit: each can be turned and saved.
 */
import {IconButton} from "../../components/button.js";
import {saveFile} from "../../download.js";
import {formatBytes, formatSeconds} from "../../format.js";
import {html} from "../../html.js";
import {t} from "../../i18n.js";
import {Viewer} from "./viewer.js";

/**
 * @param {object} props
 * @param {import("./shape_requests.js").MadeShape[]} props.shapes newest first
 * @param {(id: number) => void} props.onRemove
 */
export function ShapeList({shapes, onRemove}) {
  if (!shapes.length) return null;
  return html`
    <section aria-label=${t("shapes.made")}>
      <h2>${t("shapes.made")}</h2>
      <ol class="shape-list">
        ${shapes.map((shape) => html`
          <li key=${shape.id} class="box">
            <${Viewer} file=${shape.file} label=${shape.title} />
            <p class="shape-title" title=${shape.title}>${shape.title}</p>
            <div class="shape-foot">
              <span class="muted">${factsOf(shape)}</span>
              <${IconButton} icon="download" label=${t("shapes.download")} onClick=${() => save(shape)} />
              <${IconButton} icon="trash" label=${t("shapes.remove")} onClick=${() => onRemove(shape.id)} />
            </div>
          </li>`)}
      </ol>
    </section>`;
}

function factsOf({model, seed, totalS, file}) {
  const drawn = seed === null ? [] : [t("shapes.seed_used", {seed})];
  return [model, ...drawn, formatSeconds(totalS), formatBytes(file.size)].join(" · ");
}

function save({title, seed, file}) {
  const words = title.replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-|-$/g, "").slice(0, 40) || "shape";
  saveFile(`${seed === null ? words : `${words}-${seed}`}.glb`, file);
}

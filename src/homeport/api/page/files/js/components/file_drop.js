/**
 * Chooses files: by a button, or by dropping them on it.
 */
import {html, useRef, useState} from "../html.js";
import {Icon} from "../icons.js";

/**
 * @param {object} props
 * @param {string} props.label the button's text
 * @param {string} [props.folderLabel] the text of a second button, which chooses a folder with all that it holds
 * @param {string} [props.hint] shown beside it
 * @param {string} [props.icon]
 * @param {string} [props.accept] types of files, as a file field has them; without it, all
 * @param {boolean} [props.isMultiple]
 * @param {(files: File[]) => void} props.onFiles gets those of the accepted types; none if all are others
 */
export function FileDrop({label, folderLabel, hint, icon = "upload", accept, isMultiple = false, onFiles}) {
  const [isOver, setOver] = useState(false);
  const types = accept?.split(",");
  const take = (list) => {
    const files = [...list].filter((file) => !types || types.includes(file.type));
    onFiles(isMultiple ? files : files.slice(0, 1));
  };
  const drop = (event) => {
    event.preventDefault();
    setOver(false);
    const isFile = (item) => item.kind === "file" && !item.webkitGetAsEntry()?.isDirectory;
    take([...event.dataTransfer.items].filter(isFile).map((item) => item.getAsFile()));
  };
  const onDragOver = (event) => {
    event.preventDefault();
    setOver(true);
  };
  return html`
    <div class=${isOver ? "file-drop file-drop-over" : "file-drop"} onDrop=${drop} onDragOver=${onDragOver}
      onDragLeave=${() => setOver(false)}>
      <${FileButton} label=${label} icon=${icon} onFiles=${take} accept=${accept} multiple=${isMultiple} />
      ${folderLabel && html`
        <${FileButton} label=${folderLabel} icon="folder" onFiles=${take} webkitdirectory=${true} />`}
      ${hint && html`<span class="muted file-drop-hint">${hint}</span>`}
    </div>`;
}

/**
 * A button that chooses files.
 *
 * @param {object} props `props`: also those of a file field
 * @param {string} props.label
 * @param {string} props.icon
 * @param {(files: File[]) => void} props.onFiles
 */
export function FileButton({label, icon, onFiles, ...rest}) {
  const input = useRef(null);
  const onChange = ({target}) => {
    if (target.files.length) onFiles([...target.files]);
    target.value = "";
  };
  return html`
    <button class="button" type="button" onClick=${() => input.current.click()}>
      <${Icon} name=${icon} /><span>${label}</span>
    </button>
    <input ref=${input} type="file" hidden ...${rest} onChange=${onChange} />`;
}

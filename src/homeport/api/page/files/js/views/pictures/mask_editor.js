/**
 * The picture that is edited, with a brush for the mask: by mouse, by finger, or by keys.
 */
import {IconButton} from "../../components/button.js";
import {formatNumber} from "../../format.js";
import {html, useEffect, useLayoutEffect, useRef, useState} from "../../html.js";
import {t} from "../../i18n.js";
import {useSignal} from "../../signal.js";
import {theme} from "../../theme.js";
import {Mask} from "./mask.js";

const STEPS = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]};
/** The brush's diameter as a share of the picture's shorter edge, in hundredths. */
const SIZES = {min: 2, max: 60, first: 14};

/**
 * @param {object} props
 * @param {{url: string, width: number, height: number}} props.picture
 * @param {{current: Mask | null}} props.maskRef where the mask is put
 * @param {(share: number) => void} props.onChange which share of the picture is marked
 */
export function MaskEditor({picture, maskRef, onChange}) {
  const canvas = useRef(null);
  const ring = useRef(null);
  const brush = useRef({x: picture.width / 2, y: picture.height / 2, isDown: false});
  const [kind, setKind] = useState("paint");
  const [size, setSize] = useState(SIZES.first);
  const [{share}, setMarks] = useState({share: 0});
  useSignal(theme);
  const diameter = (size / 100) * Math.min(picture.width, picture.height);
  useLayoutEffect(() => {
    canvas.current.parentElement.style.setProperty("--ratio", picture.width / picture.height);
    maskRef.current = new Mask(canvas.current, accent());
    report(0);
  }, [picture]);
  useEffect(() => {
    maskRef.current.color = accent();
    maskRef.current.redraw();
  }, [theme.get()]);
  useLayoutEffect(() => placeRing(ring.current, brush.current, diameter, picture));
  const report = (value) => {
    setMarks({share: value});
    onChange(value);
  };
  const changed = () => report(maskRef.current.share());
  const move = (x, y) => {
    brush.current.x = Math.min(Math.max(x, 0), picture.width);
    brush.current.y = Math.min(Math.max(y, 0), picture.height);
    placeRing(ring.current, brush.current, diameter, picture);
    if (brush.current.isDown) maskRef.current.extend({x: brush.current.x, y: brush.current.y});
  };
  const lower = () => {
    brush.current.isDown = true;
    maskRef.current.begin(kind, diameter, {x: brush.current.x, y: brush.current.y});
  };
  const lift = () => {
    if (!brush.current.isDown) return;
    brush.current.isDown = false;
    changed();
  };
  const act = (action) => {
    action(maskRef.current);
    changed();
  };
  const undo = () => maskRef.current.canUndo && act((mask) => mask.undo());
  const pointer = pointerHandlers(canvas, picture, {move, lower, lift});
  const keys = keyHandlers(brush, diameter, {move, lower, lift, undo});
  const percent = formatNumber(share * 100, share < 0.1 ? 1 : 0);
  return html`
    <div class="mask-editor">
      <div class="mask-tools" role="toolbar" aria-label=${t("pictures.mask_tools")}>
        <${IconButton} icon="brush" label=${t("pictures.brush")} aria-pressed=${kind === "paint"}
          onClick=${() => setKind("paint")} />
        <${IconButton} icon="eraser" label=${t("pictures.eraser")} aria-pressed=${kind === "erase"}
          onClick=${() => setKind("erase")} />
        <input class="brush-size" type="range" min=${SIZES.min} max=${SIZES.max} value=${size}
          aria-label=${t("pictures.brush_size")} title=${t("pictures.brush_size")}
          onInput=${(event) => setSize(Number(event.target.value))} />
        <${IconButton} icon="undo" label=${t("pictures.undo")} disabled=${!maskRef.current?.canUndo} onClick=${undo} />
        <${IconButton} icon="fill" label=${t("pictures.mark_all")} onClick=${() => act((mask) => mask.set("all"))} />
        <${IconButton} icon="close" label=${t("pictures.clear")} disabled=${!share}
          onClick=${() => act((mask) => mask.set("clear"))} />
      </div>
      <div class="mask-frame">
        <img src=${picture.url} alt=${t("pictures.edited")} width=${picture.width} height=${picture.height} />
        <canvas ref=${canvas} width=${picture.width} height=${picture.height} tabindex="0" role="application"
          aria-label=${t("pictures.mask")} aria-describedby="mask-note" ...${pointer} ...${keys}></canvas>
        <span ref=${ring} class="brush-ring" aria-hidden="true"></span>
      </div>
      <p class="mask-note" role="status">
        ${share ? t("pictures.marked", {percent}) : t("pictures.mask_hint")}
      </p>
      <p id="mask-note" class="muted mask-note">${t("pictures.mask_keys")}</p>
    </div>`;
}

/** Paint with a mouse, a pen or a finger. */
function pointerHandlers(canvas, picture, {move, lower, lift}) {
  const at = ({clientX, clientY}) => {
    const box = canvas.current.getBoundingClientRect();
    const {width, height} = picture;
    return [((clientX - box.left) / box.width) * width, ((clientY - box.top) / box.height) * height];
  };
  return {
    onPointerDown: (event) => {
      if (event.button !== 0) return;
      canvas.current.setPointerCapture(event.pointerId);
      move(...at(event));
      lower();
    },
    onPointerMove: (event) => {
      const events = event.getCoalescedEvents?.() ?? [];
      for (const each of events.length ? events : [event]) move(...at(each));
    },
    onPointerUp: lift,
    onPointerCancel: lift,
  };
}

/** Move with the arrow keys, faster with Shift, and paint while the space bar is held. */
function keyHandlers(brush, diameter, {move, lower, lift, undo}) {
  return {
    onKeyDown: (event) => {
      const step = STEPS[event.key];
      const isUndo = event.key === "z" && (event.ctrlKey || event.metaKey);
      if (!step && event.key !== " " && !isUndo) return;
      event.preventDefault();
      if (isUndo) undo();
      else if (!step) brush.current.isDown || lower();
      else {
        const length = Math.max(1, (diameter / 4) * (event.shiftKey ? 4 : 1));
        move(brush.current.x + step[0] * length, brush.current.y + step[1] * length);
      }
    },
    onKeyUp: (event) => {
      if (event.key === " ") lift();
    },
    onBlur: lift,
  };
}

function placeRing(ring, {x, y}, diameter, {width, height}) {
  ring.style.width = `${(diameter / width) * 100}%`;
  ring.style.left = `${(x / width) * 100}%`;
  ring.style.top = `${(y / height) * 100}%`;
}

function accent() {
  return getComputedStyle(document.documentElement).getPropertyValue("--accent").trim();
}

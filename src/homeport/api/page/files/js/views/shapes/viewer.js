/**
 * A shape that can be turned: by dragging and by the arrow keys. Plus and minus, and the wheel once it has
 * the focus, bring it nearer or farther away.
 */
import {html, useEffect, useRef, useState} from "../../html.js";
import {t} from "../../i18n.js";
import {fitSize} from "../../media/canvas.js";
import {readGlb} from "./glb.js";
import {Renderer} from "./renderer.js";

const RADIANS_PER_PX = 0.01;
const KEY_RADIANS = 0.2;
const TURN_RADIANS_PER_S = 0.5;
const MAX_PITCH = 1.5;
const [NEAREST, FARTHEST] = [1.6, 8];
const FIRST = {yaw: 0.6, pitch: 0.35, distance: 3.4};
const KEYS = {
  ArrowLeft: {yaw: -KEY_RADIANS}, ArrowRight: {yaw: KEY_RADIANS},
  ArrowUp: {pitch: KEY_RADIANS}, ArrowDown: {pitch: -KEY_RADIANS},
  "+": {zoom: 1 / 1.15}, "=": {zoom: 1 / 1.15}, "-": {zoom: 1.15},
};

/** @param {{file: Blob, label: string}} props `file`: a GLB */
export function Viewer({file, label}) {
  const canvas = useRef(null);
  const camera = useRef({...FIRST});
  const draw = useRef(() => {});
  const isTouched = useRef(matchMedia("(prefers-reduced-motion: reduce)").matches);
  const [isFailed, setFailed] = useState(false);
  const onFail = () => setFailed(true);
  useEffect(() => show(canvas.current, file, camera.current, {draw, isTouched, onFail}), [file]);
  const turn = ({yaw = 0, pitch = 0, zoom = 1}) => {
    isTouched.current = true;
    const now = camera.current;
    now.yaw += yaw;
    now.pitch = Math.max(-MAX_PITCH, Math.min(MAX_PITCH, now.pitch + pitch));
    now.distance = Math.max(NEAREST, Math.min(FARTHEST, now.distance * zoom));
    draw.current();
  };
  const onKeyDown = (event) => {
    if (!KEYS[event.key]) return;
    event.preventDefault();
    turn(KEYS[event.key]);
  };
  const onPointerMove = ({buttons, movementX, movementY}) => {
    if (buttons) turn({yaw: -movementX * RADIANS_PER_PX, pitch: movementY * RADIANS_PER_PX});
  };
  const onWheel = (event) => {
    if (document.activeElement !== canvas.current) return; // the page scrolls
    event.preventDefault();
    turn({zoom: event.deltaY > 0 ? 1.1 : 1 / 1.1});
  };
  if (isFailed) return html`<p class="shape-failed muted">${t("shapes.not_drawn")}</p>`;
  return html`
    <canvas ref=${canvas} class="shape-canvas" role="img" tabindex="0" aria-label=${label} title=${t("shapes.turn")}
      onKeyDown=${onKeyDown} onPointerDown=${(event) => event.currentTarget.setPointerCapture(event.pointerId)}
      onPointerMove=${onPointerMove} onWheel=${onWheel}></canvas>`;
}

/** Read and draw a shape, and turn it slowly until somebody does. Return what ends it. */
function show(canvas, file, camera, {draw, isTouched, onFail}) {
  let renderer = null;
  let frame = 0;
  let isOpen = true;
  let last = 0;
  const drawNow = () => {
    if (!renderer) return;
    fitSize(canvas);
    renderer.draw(camera);
    canvas.dataset.drawn = "true";
  };
  const next = (now) => {
    if (isTouched.current) return;
    camera.yaw += last ? ((now - last) / 1000) * TURN_RADIANS_PER_S : 0;
    last = now;
    drawNow();
    frame = requestAnimationFrame(next);
  };
  const observer = new ResizeObserver(drawNow);
  draw.current = drawNow;
  file.arrayBuffer().then((bytes) => {
    if (!isOpen) return;
    renderer = new Renderer(canvas, readGlb(bytes));
    observer.observe(canvas);
    drawNow();
    frame = requestAnimationFrame(next);
  }).catch(() => isOpen && onFail());
  return () => {
    isOpen = false;
    cancelAnimationFrame(frame);
    observer.disconnect();
    renderer?.close();
  };
}

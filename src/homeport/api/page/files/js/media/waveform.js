/**
 * A sound as bars, with the part that was played in another color. A click, or the arrow keys, seek in it.
 */
import {formatClock} from "../format.js";
import {html, useEffect, useLayoutEffect, useRef} from "../html.js";
import {t} from "../i18n.js";
import {useSignal} from "../signal.js";
import {theme} from "../theme.js";
import {fitCanvas, tokenColor} from "./canvas.js";

const BAR_PX = 2;
const STEP_PX = 4;
const KEY_STEPS_S = {ArrowRight: 5, ArrowUp: 5, ArrowLeft: -5, ArrowDown: -5, PageUp: 30, PageDown: -30};

/**
 * @param {object} props
 * @param {Float32Array | null} props.peaks null: unknown, drawn as a line
 * @param {number} props.seconds
 * @param {number} props.position
 * @param {boolean} props.isPlaying
 * @param {() => number} props.readPosition where it plays right now
 * @param {(seconds: number) => void} props.onSeek
 */
export function Waveform({peaks, seconds, position, isPlaying, readPosition, onSeek}) {
  const canvas = useRef(null);
  const chosen = useSignal(theme);
  const draw = () => canvas.current && drawBars(canvas.current, peaks, seconds ? readPosition() / seconds : 0);
  useLayoutEffect(draw, [peaks, seconds, position, chosen]);
  useEffect(() => {
    const observer = new ResizeObserver(draw);
    observer.observe(canvas.current);
    return () => observer.disconnect();
  }, [peaks, seconds]);
  useEffect(() => {
    if (!isPlaying) return undefined;
    let frame = 0;
    const next = () => {
      draw();
      frame = requestAnimationFrame(next);
    };
    next();
    return () => cancelAnimationFrame(frame);
  }, [isPlaying, peaks, seconds, chosen]);
  const seekTo = ({clientX}) => {
    const {left, width} = canvas.current.getBoundingClientRect();
    onSeek(seconds * Math.max(0, Math.min(1, (clientX - left) / width)));
  };
  const onKeyDown = (event) => {
    const targets = {Home: 0, End: seconds};
    const target = targets[event.key] ?? readPosition() + (KEY_STEPS_S[event.key] ?? NaN);
    if (Number.isNaN(target)) return;
    event.preventDefault();
    onSeek(Math.max(0, Math.min(seconds, target)));
  };
  const onPointerDown = (event) => {
    event.currentTarget.setPointerCapture(event.pointerId);
    seekTo(event);
  };
  return html`
    <canvas ref=${canvas} class="waveform" role="slider" tabindex="0" aria-label=${t("media.position")}
      aria-valuemin="0" aria-valuemax=${Math.round(seconds)} aria-valuenow=${Math.round(position)}
      aria-valuetext=${formatClock(position)} onKeyDown=${onKeyDown} onPointerDown=${onPointerDown}
      onPointerMove=${(event) => event.buttons && seekTo(event)}></canvas>`;
}

function drawBars(canvas, peaks, share) {
  const {context, width, height} = fitCanvas(canvas);
  const [played, rest] = [tokenColor("--accent"), tokenColor("--control-line")];
  const count = Math.max(1, Math.floor(width / STEP_PX));
  context.clearRect(0, 0, width, height);
  for (let i = 0; i < count; i++) {
    const tall = Math.max(2, loudest(peaks, i / count, (i + 1) / count) * (height - 2));
    context.fillStyle = (i + 0.5) / count <= share ? played : rest;
    context.fillRect(i * STEP_PX, (height - tall) / 2, BAR_PX, tall);
  }
  context.fillStyle = played;
  if (share > 0) context.fillRect(Math.min(width - 2, share * width), 0, 2, height);
}

/** Return the highest peak of a part of the sound. */
function loudest(peaks, from, to) {
  if (!peaks) return 0;
  const begin = Math.floor(from * peaks.length);
  return peaks.subarray(begin, Math.max(begin + 1, Math.floor(to * peaks.length))).reduce((a, b) => Math.max(a, b), 0);
}

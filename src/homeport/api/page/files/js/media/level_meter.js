/**
 * How loud the microphone is, as bars that move, and how long it records.
 */
import {formatClock} from "../format.js";
import {html, useEffect, useRef, useState} from "../html.js";
import {fitCanvas, tokenColor} from "./canvas.js";

const BAR_PX = 3;
const STEP_PX = 5;

/** @param {{recorder: import("./recorder.js").Recorder}} props */
export function LevelMeter({recorder}) {
  const canvas = useRef(null);
  const [seconds, setSeconds] = useState(0);
  useEffect(() => {
    const levels = [];
    let frame = 0;
    let last = 0;
    const draw = (now) => {
      if (!canvas.current) return; // it was removed before this frame
      frame = requestAnimationFrame(draw);
      if (now - last < 50) return;
      last = now;
      levels.push(recorder.level());
      setSeconds(Math.floor(recorder.seconds));
      drawLevels(canvas.current, levels);
    };
    frame = requestAnimationFrame(draw);
    return () => cancelAnimationFrame(frame);
  }, [recorder]);
  return html`
    <span class="level">
      <canvas ref=${canvas} aria-hidden="true"></canvas>
      <span class="level-time" role="timer">${formatClock(seconds)}</span>
    </span>`;
}

/** Draw the last levels, the newest on the right. */
function drawLevels(canvas, levels) {
  const {context, width, height} = fitCanvas(canvas);
  const count = Math.floor(width / STEP_PX);
  levels.splice(0, Math.max(0, levels.length - count));
  context.clearRect(0, 0, width, height);
  context.fillStyle = tokenColor("--danger");
  levels.forEach((level, i) => {
    const tall = Math.max(2, level * height);
    context.fillRect(width - (levels.length - i) * STEP_PX, (height - tall) / 2, BAR_PX, tall);
  });
}

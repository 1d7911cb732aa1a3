/**
 * Plays a sound file, with its waveform.
 */
import {IconButton} from "../components/button.js";
import {formatClock} from "../format.js";
import {html, useEffect, useRef, useState} from "../html.js";
import {t} from "../i18n.js";
import {decodeSound, peaksOf, SPEECH_RATE} from "./decoding.js";
import {Waveform} from "./waveform.js";

const PEAKS = 2000;
let playing = null;

/** @typedef {{playFrom: (start: number, end?: number) => void}} PlayerControl */

/**
 * @param {object} props
 * @param {Blob} props.file
 * @param {{current: PlayerControl | null}} [props.control] gets what others can do with the player
 * @param {(seconds: number) => void} [props.onTime] where it plays, a few times a second
 * @param {(seconds: number) => void} [props.onLength]
 * @param {boolean} [props.isPlayedAtOnce]
 */
export function SoundPlayer({file, control, onTime = () => {}, onLength = () => {}, isPlayedAtOnce = false}) {
  const audio = useRef(null);
  const end = useRef(Infinity);
  const {url, peaks, seconds: decoded} = useSound(file);
  const [state, setState] = useState({isPlaying: false, position: 0, seconds: 0, isFailed: false});
  const change = (fields) => setState((before) => ({...before, ...fields}));
  const seconds = decoded || state.seconds;
  useEffect(() => {
    if (seconds) onLength(seconds);
  }, [seconds]);
  const play = () => audio.current.play().catch(() => {});
  const seek = (position) => {
    end.current = Infinity;
    audio.current.currentTime = position;
    change({position});
    onTime(position);
  };
  if (control) {
    control.current = {
      playFrom(start, until = Infinity) {
        seek(start);
        end.current = until;
        play();
      },
    };
  }
  const onTimeUpdate = () => {
    if (!audio.current) return; // an event that was on its way
    const position = audio.current.currentTime;
    if (position >= end.current) {
      end.current = Infinity;
      audio.current.pause();
    }
    change({position});
    onTime(position);
  };
  const onPlay = () => {
    if (playing && playing !== audio.current) playing.pause();
    playing = audio.current;
    change({isPlaying: true});
  };
  const toggle = () => {
    end.current = Infinity;
    if (state.isPlaying) audio.current.pause();
    else play();
  };
  const onMetadata = () => Number.isFinite(audio.current.duration) && change({seconds: audio.current.duration});
  return html`
    <div class="player">
      <audio ref=${audio} src=${url} preload="auto" autoplay=${isPlayedAtOnce} onTimeUpdate=${onTimeUpdate}
        onPlay=${onPlay} onPause=${() => change({isPlaying: false})} onLoadedMetadata=${onMetadata}
        onError=${() => change({isFailed: true})}></audio>
      <${IconButton} icon=${state.isPlaying ? "pause" : "play"} disabled=${state.isFailed}
        label=${state.isPlaying ? t("media.pause") : t("media.play")} onClick=${toggle} />
      ${state.isFailed
        ? html`<p class="muted">${t("media.not_playable")}</p>`
        : html`<${Waveform} peaks=${peaks} seconds=${seconds} position=${state.position} isPlaying=${state.isPlaying}
            readPosition=${() => audio.current?.currentTime ?? 0} onSeek=${seek} />`}
      <span class="player-time">${formatClock(state.position)} / ${formatClock(seconds)}</span>
    </div>`;
}

/** A file's address for this page, and what is drawn of it: decoded once, and only the peaks are kept. */
function useSound(file) {
  const [sound, setSound] = useState({url: undefined, peaks: null, seconds: 0});
  useEffect(() => {
    let isCurrent = true;
    const url = URL.createObjectURL(file);
    setSound({url, peaks: null, seconds: 0});
    decodeSound(file).then((samples) => {
      if (isCurrent) setSound({url, peaks: peaksOf(samples, PEAKS), seconds: samples.length / SPEECH_RATE});
    }, () => {}); // the audio element says so if it cannot be played either
    return () => {
      isCurrent = false;
      URL.revokeObjectURL(url);
    };
  }, [file]);
  return sound;
}

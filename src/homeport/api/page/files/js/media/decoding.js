/**
 * Sound files as samples, for drawing and for conversion. The browser decodes them.
 */

/** Speech models compute at this rate. */
export const SPEECH_RATE = 16000;

/**
 * Decode a sound file to one channel.
 *
 * @param {Blob} file
 * @returns {Promise<Float32Array>} samples, `SPEECH_RATE` of them per second
 * @throws {Error} if the browser cannot decode it; the server may still
 */
export async function decodeSound(file) {
  const context = new OfflineAudioContext(1, 1, SPEECH_RATE);
  const buffer = await context.decodeAudioData(await file.arrayBuffer());
  const samples = buffer.getChannelData(0);
  if (buffer.numberOfChannels === 1) return samples;
  const mixed = new Float32Array(samples.length);
  for (let channel = 0; channel < buffer.numberOfChannels; channel++) {
    const part = buffer.getChannelData(channel);
    for (let i = 0; i < part.length; i++) mixed[i] += part[i] / buffer.numberOfChannels;
  }
  return mixed;
}

/**
 * Return how loud each part of a sound is at most.
 *
 * @param {Float32Array} samples
 * @param {number} count of parts
 * @returns {Float32Array} from 0 to 1; the loudest part of a sound that is not silent is 1
 */
export function peaksOf(samples, count) {
  const peaks = new Float32Array(count);
  let loudest = 0.02; // noise is not drawn as if it were speech
  for (let part = 0; part < count; part++) {
    const end = Math.floor(((part + 1) * samples.length) / count);
    for (let i = Math.floor((part * samples.length) / count); i < end; i++) {
      peaks[part] = Math.max(peaks[part], Math.abs(samples[i]));
    }
    loudest = Math.max(loudest, peaks[part]);
  }
  return peaks.map((peak) => peak / loudest);
}

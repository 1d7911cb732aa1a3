/**
 * The last 15 minutes of metrics, in columns, as they grow. Knows nothing of how they arrive or are shown.
 */

/**
 * @typedef {Record<string, (number | null)[]>} Columns a number for each time, null where it does not apply
 *
 * @typedef {object} Series
 * @property {number[]} times seconds since 1970
 * @property {number} span how many seconds are kept
 * @property {number} interval between two samples
 * @property {Columns} server
 * @property {Record<string, Columns>} models by name
 */

/** A gap is so many intervals; a line is not drawn over it. */
const GAP = 4;

/** @type {Series} */
export const NO_SERIES = {times: [], span: 900, interval: 3, server: {}, models: {}};

/**
 * Add what `/admin/v1/metrics/series` answered, and leave out what is too old.
 *
 * @param {Series} series
 * @param {any} body
 * @returns {Series}
 */
export function addColumns(series, body) {
  const {interval_s: interval = series.interval, span_s: span = series.span} = body;
  const known = series.times.at(-1) ?? -Infinity;
  const from = body.times.findIndex((time) => time > known);
  if (from < 0) return {...series, interval, span};
  const added = body.times.slice(from);
  const hasGap = series.times.length > 0 && added[0] - known > GAP * interval;
  const times = [...series.times, ...(hasGap ? [known + interval] : []), ...added];
  const first = times.findIndex((time) => time > times.at(-1) - span);
  const join = (before, columns) => {
    const names = new Set([...Object.keys(before ?? {}), ...Object.keys(columns ?? {})]);
    const joined = {};
    for (const name of names) {
      joined[name] = [
        ...(before?.[name] ?? nulls(series.times.length)),
        ...(hasGap ? [null] : []),
        ...(columns?.[name]?.slice(from) ?? nulls(added.length)),
      ].slice(first);
    }
    return joined;
  };
  const arrived = Object.fromEntries(body.models.map(({model, ...columns}) => [model, columns]));
  const models = {};
  for (const name of new Set([...Object.keys(series.models), ...Object.keys(arrived)])) {
    const columns = join(series.models[name], arrived[name]);
    if (columns.running.some((value) => value !== null)) models[name] = columns;
  }
  return {times: times.slice(first), span, interval, server: join(series.server, body.server), models};
}

/**
 * Add one event of the stream.
 *
 * @param {Series} series
 * @param {{time: number, server: Record<string, number | null>, models: any[]}} sample
 */
export function addSample(series, {time, server, models}) {
  const single = ({model, ...values}) => ({model, ...columnsOf(values)});
  return addColumns(series, {times: [time], server: columnsOf(server), models: models.map(single)});
}

/** @param {(number | null)[] | undefined} values @returns {number | null} the latest number that applied */
export function latest(values = []) {
  return values.findLast((value) => value !== null) ?? null;
}

/** @param {(number | null)[] | undefined} values */
export function total(values = []) {
  return values.reduce((sum, value) => sum + (value ?? 0), 0);
}

function columnsOf(values) {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, [value]]));
}

function nulls(count) {
  return Array(count).fill(null);
}

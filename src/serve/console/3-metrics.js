// Prometheus' text, and what two looks at it tell.

const LINE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})?\s+(\S+)/;
const LABEL = /([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"/g;
const KEPT_MS = 60000;

function parseMetrics(text) {
  const found = new Map();
  for (const line of text.split('\n')) {
    const match = line[0] === '#' ? null : LINE.exec(line);
    if (!match) continue;
    const labels = {};
    for (const [, name, value] of (match[2] || '').matchAll(LABEL)) labels[name] = value.replace(/\\(.)/g, (_, c) => (c === 'n' ? '\n' : c));
    if (!found.has(match[1])) found.set(match[1], []);
    found.get(match[1]).push({labels, value: match[3] === '+Inf' ? Infinity : Number(match[3])});
  }
  return found;
}

const metrics = {samples: [], lags: [], there: true};

function noteMetrics(text) {
  const now = performance.now();
  metrics.samples.push({at: now, values: parseMetrics(text)});
  while (metrics.samples.length > 2 && now - metrics.samples[0].at > KEPT_MS) metrics.samples.shift();
  const lag = sumOf(latest(), 'tarn_lane_lag_messages');
  if (lag !== null) {
    metrics.lags.push(lag);
    if (metrics.lags.length > 150) metrics.lags.shift();
  }
}

const latest = () => (metrics.samples.length ? metrics.samples[metrics.samples.length - 1].values : new Map());

const fits = (entry, labels) => Object.entries(labels || {}).every(([name, value]) => entry.labels[name] === undefined || entry.labels[name] === value);

function sumOf(values, name, labels) {
  const entries = (values.get(name) || []).filter((entry) => fits(entry, labels));
  return entries.length ? entries.reduce((sum, entry) => sum + entry.value, 0) : null;
}

// Per second, over the last `ms`. A counter that fell began anew with its process.
function rateOf(name, labels, ms) {
  const end = metrics.samples[metrics.samples.length - 1];
  if (!end) return null;
  const begin = metrics.samples.find((sample) => end.at - sample.at <= ms && sample !== end);
  const now = sumOf(end.values, name, labels), before = begin ? sumOf(begin.values, name, labels) : null;
  if (now === null || before === null || now < before) return null;
  return (now - before) / ((end.at - begin.at) / 1000);
}

function bucketsOf(values, name, labels) {
  const sums = new Map();
  for (const entry of values.get(`${name}_bucket`) || []) {
    if (!fits(entry, labels)) continue;
    const bound = entry.labels.le === '+Inf' ? Infinity : Number(entry.labels.le);
    sums.set(bound, (sums.get(bound) || 0) + entry.value);
  }
  return sums;
}

// Quantiles of a histogram, of the last minute where something happened in it, else of all time, as Prometheus reckons them. Null: nothing happened.
function quantilesOf(name, labels, wanted) {
  if (!metrics.samples.length) return null;
  const now = bucketsOf(latest(), name, labels), before = bucketsOf(metrics.samples[0].values, name, labels);
  const bounds = [...now.keys()].sort((a, b) => a - b);
  const recent = bounds.map((bound) => Math.max(0, now.get(bound) - (before.get(bound) || 0)));
  const some = recent.length && recent[recent.length - 1] > 0;
  const counts = some ? recent : bounds.map((bound) => now.get(bound));
  const all = counts[counts.length - 1];
  if (!all) return null;
  return {recent: Boolean(some), count: all, values: wanted.map((q) => quantile(bounds, counts, q * all))};
}

function quantile(bounds, counts, rank) {
  const at = counts.findIndex((value) => value >= rank);
  const low = at > 0 ? bounds[at - 1] : 0, below = at > 0 ? counts[at - 1] : 0;
  if (bounds[at] === Infinity) return low;
  return low + (bounds[at] - low) * ((rank - below) / ((counts[at] - below) || 1));
}

// Charts in SVG: bars of a text column, lines over time.

const BARS_MAX = 60;

// Round steps, at most `most` of them, from 0 where that is near.
function ticks(low, high, most) {
  if (low > 0 && low < high * 0.6) low = 0;
  if (high < 0 && high > low * 0.6) high = 0;
  if (low === high) { low -= Math.abs(low); high += Math.abs(high) || 1; }
  const raw = (high - low) / most, power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].map((m) => m * power).find((s) => s >= raw * 0.999);
  const found = [];
  for (let k = Math.floor(low / step + 1e-9); k <= Math.ceil(high / step - 1e-9); k++) found.push(k * step);
  return found;
}

const SECOND = 1000, MINUTE = 60 * SECOND, HOUR = 60 * MINUTE, DAY = 24 * HOUR;
const STEPS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30].map((s) => s * SECOND).concat([1, 2, 5, 10, 15, 30].map((m) => m * MINUTE), [1, 2, 3, 6, 12].map((h) => h * HOUR),
  [1, 2, 4, 7, 14, 28, 91, 182, 365, 730, 1826, 3652].map((d) => d * DAY));

// Where on a time axis something is written, and what: whole seconds, minutes, hours or days in UTC.
function timeTicks(low, high, most) {
  const step = STEPS.find((s) => (high - low) / s <= most) || (high - low) / most || DAY, found = [];
  for (let time = Math.ceil(low / step) * step; time <= high; time += step) {
    const text = new Date(time).toISOString();
    found.push([time, step >= DAY ? text.slice(0, 10) : step >= MINUTE ? (time % DAY ? text.slice(11, 16) : text.slice(5, 10)) : step >= SECOND ? text.slice(11, 19) : text.slice(14, 21)]);
  }
  return found;
}

// Short ones where those differ, else all digits.
function tickLabels(steps) {
  const labels = steps.map(short);
  return new Set(labels).size === steps.length ? labels : steps.map((step) => step.toLocaleString('en-US', {maximumSignificantDigits: 12}));
}

// The box that a chart is drawn in, with its horizontal lines. y: value to pixel.
function frame(width, height, values, zero) {
  const low = Math.min(...values, ...(zero ? [0] : [])), high = Math.max(...values, ...(zero ? [0] : []));
  const steps = ticks(low, high, Math.max(2, Math.floor(height / 48)));
  const labels = tickLabels(steps);
  const left = Math.max(...labels.map((label) => label.length)) * 6.2 + 12;
  const box = {left, right: width - 6, top: 10, bottom: height - 26};
  const y = (value) => box.bottom - (value - steps[0]) / (steps[steps.length - 1] - steps[0]) * (box.bottom - box.top);
  const lines = steps.map((step, i) => [
    svg('line', {class: Math.abs(step) < 1e-12 || i === 0 ? 'axis' : 'grid', x1: left, x2: box.right, y1: y(step), y2: y(step)}),
    svg('text', {x: left - 8, y: y(step) + 4, 'text-anchor': 'end'}, labels[i])]);
  return {box, y, lines: lines.flat(), base: y(Math.max(steps[0], Math.min(0, steps[steps.length - 1])))};
}

function bars(points, width, height) {
  const {box, y, lines, base} = frame(width, height, points.map((p) => p.y), true);
  const step = (box.right - box.left) / points.length, gap = Math.min(step * 0.25, 10);
  const fit = Math.max(3, Math.floor((step - 4) / 6.2)), every = Math.ceil(34 / step);
  const cut = (text) => (text.length <= Math.max(fit, every > 1 ? 6 : 0) ? text : `${text.slice(0, Math.max(fit, 4) - 1)}…`);
  return svg('g', {}, lines, points.map((p, i) => [
    svg('rect', {class: 'column', x: box.left + i * step + gap / 2, width: Math.max(1, Math.min(step - gap, 90)), y: Math.min(y(p.y), base),
      height: Math.max(0.5, Math.abs(y(p.y) - base)), rx: 1.5}, svg('title', {}, `${p.label}: ${p.text}`)),
    i % every === 0 && svg('text', {x: box.left + i * step + gap / 2 + Math.min(step - gap, 90) / 2, y: height - 8, 'text-anchor': 'middle'}, cut(p.label))]).flat());
}

function line(points, width, height, times) {
  const {box, y, lines, base} = frame(width, height, points.map((p) => p.y), false);
  const low = points[0].x, high = points[points.length - 1].x, span = high - low || 1;
  const x = (value) => box.left + 6 + (value - low) / span * (box.right - box.left - 12);
  const path = points.map((p, i) => `${i ? 'L' : 'M'}${x(p.x).toFixed(1)} ${y(p.y).toFixed(1)}`).join('');
  const most = Math.max(2, Math.min(9, Math.floor((box.right - box.left) / 100)));
  const at = times ? timeTicks(low, high, most) : ticks(low, high, most).map((v) => [v, short(v)]);
  return svg('g', {}, lines,
    svg('path', {class: 'area', d: `${path}L${x(high).toFixed(1)} ${base}L${x(low).toFixed(1)} ${base}Z`}),
    svg('path', {class: 'line', d: path}),
    points.length <= 200 && points.map((p) => svg('circle', {class: 'point', cx: x(p.x), cy: y(p.y), r: points.length > 60 ? 1.5 : 2.5}, svg('title', {}, `${p.label}: ${p.text}`))),
    at.filter(([value]) => value >= low && value <= high).map(([value, label]) => [svg('line', {class: 'axis', x1: x(value), x2: x(value), y1: box.bottom, y2: box.bottom + 4}),
      svg('text', {x: Math.min(Math.max(x(value), box.left + label.length * 3.1), box.right - label.length * 3.1), y: height - 8, 'text-anchor': 'middle'}, label)]));
}

// What a chart shows if nobody says otherwise: the first text or time against the first number; null where there is no number.
function chooseChart(columns) {
  const numbers = columns.map((c, i) => (c.kind === 'number' ? i : -1)).filter((i) => i >= 0);
  const x = columns.findIndex((c) => c.kind === 'text' || c.kind === 'time');
  if (!numbers.length) return null;
  if (x >= 0) return {x, y: numbers[0], kind: columns[x].kind === 'time' ? 'line' : 'bar'};
  return numbers.length > 1 ? {x: numbers[0], y: numbers[1], kind: 'line'} : {x: -1, y: numbers[0], kind: 'bar'};
}

// Where on the x axis a cell lies: its time, its number, or its row.
function placeOf(cell, column, row) {
  if (!column || (column.kind !== 'time' && column.kind !== 'number')) return row;
  if (cell.kind === 'null') return NaN;
  return column.kind === 'time' ? timeOf(cell.text) : Number(cell.text);
}

function pointsOf(answer, chosen) {
  const column = chosen.x >= 0 ? answer.columns[chosen.x] : null;
  const points = answer.rows.map((row, i) => {
    const cell = column ? row[chosen.x] : {kind: 'number', text: String(i + 1)}, value = row[chosen.y];
    return {x: chosen.kind === 'bar' ? i : placeOf(cell, column, i), y: value.kind === 'number' ? Number(value.text) : NaN, text: value.text,
      label: cell.kind === 'null' ? 'NULL' : cell.text};
  });
  return points.filter((p) => Number.isFinite(p.y) && Number.isFinite(p.x));
}

function drawChart(answer, chosen, width) {
  const height = 300, column = chosen.x >= 0 ? answer.columns[chosen.x] : null;
  let points = pointsOf(answer, chosen), note = '';
  if (!points.length) return empty('There is no number to draw.');
  if (chosen.kind === 'line') points.sort((a, b) => a.x - b.x);
  if (chosen.kind === 'bar' && points.length > BARS_MAX) {
    note = `The first ${BARS_MAX} of ${number(points.length)} bars`;
    points = points.slice(0, BARS_MAX);
  }
  const name = `${answer.columns[chosen.y].name} by ${column ? column.name : 'row'}`;
  const drawn = chosen.kind === 'bar' ? bars(points, width, height) : line(points, width, height, Boolean(column) && column.kind === 'time');
  return el('div', {}, svg('svg', {class: 'plot', viewBox: `0 0 ${width} ${height}`, height, role: 'img', 'aria-label': `Chart: ${name}`}, drawn),
    note && el('p', {class: 'soft'}, note));
}

// A small line without axes. values: numbers; the last is now.
function spark(values, width, height, label) {
  const high = Math.max(...values, 1), step = width / Math.max(1, values.length - 1);
  const path = values.map((v, i) => `${i ? 'L' : 'M'}${(i * step).toFixed(1)} ${(height - 2 - v / high * (height - 4)).toFixed(1)}`).join('');
  return svg('svg', {class: 'plot', viewBox: `0 0 ${width} ${height}`, height, preserveAspectRatio: 'none', role: 'img', 'aria-label': label},
    svg('path', {class: 'area', d: `${path}L${width} ${height}L0 ${height}Z`}), svg('path', {class: 'line', d: path, 'vector-effect': 'non-scaling-stroke'}));
}

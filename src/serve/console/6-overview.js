// The overview: figures, tables, models, expectations, ingest, pool, quarantine, endpoints.

const LAYERS = ['bronze', 'silver', 'gold', 'other'];
const seen = {overview: null, pool: null, drawn: {}};
const opened = new Set();

// Draws a part only where what it is made of has changed.
function once(part, data, draw) {
  const text = JSON.stringify(data);
  if (seen.drawn[part] === text) return;
  draw();
  seen.drawn[part] = text;
}

const sum = (list, field) => list.reduce((total, entry) => total + (entry[field] || 0), 0);
const nameOf = (t) => (t.schema === 'main' ? t.name : `${t.schema}.${t.name}`);

// ---- the figures on top

function stat(name, value, more, unit) {
  return el('div', {}, el('dt', {}, name), el('dd', {'data-stat': name}, value, unit && el('small', {}, ` ${unit}`)), el('span', {class: 'more'}, more || '\u00a0'));
}

// Rows committed per second: of the metrics where this server takes streams in, else of the ledger.
function ingestRate() {
  const live = rateOf('tarn_rows_committed_total', {}, 10500);
  if (live !== null) return {rate: live, how: 'last 10 s'};
  const steps = seen.overview ? seen.overview.ingest : [];
  if (!steps.length) return null;
  const begin = serverNow() - 60000;
  return {rate: sum(steps.filter((s) => Date.parse(s.at) >= begin), 'rows') / 60, how: 'last minute (ledger)'};
}

function latencyNow() {
  return quantilesOf('ducklake_pool_query_duration_seconds', {pool: seen.pool ? seen.pool.name : undefined}, [0.5, 0.99]);
}

function drawStats() {
  const o = seen.overview;
  if (!o) return;
  const rate = ingestRate(), lag = sumOf(latest(), 'tarn_lane_lag_messages'), q = latencyNow();
  const held = sum(o.quarantine, 'count'), broken = o.expectations.filter((e) => !e.passed).length;
  const parts = [
    stat('Rows', short(sum(o.tables, 'rows')), `${count(o.tables.length, 'table')}, ${bytes(sum(o.tables, 'bytes'))}`),
    stat('Snapshot', o.snapshot === null ? '–' : number(o.snapshot), since(o.at)),
    rate && stat('Ingest', short(rate.rate), rate.how, 'rows/s'),
    lag !== null && stat('Lag', short(lag), count((latest().get('tarn_lane_lag_messages') || []).length, 'lane'), lag === 1 ? 'message' : 'messages'),
    q && stat('Query time', milliseconds(q.values[0] * 1000), `p99 ${milliseconds(q.values[1] * 1000)}${q.recent ? ', last minute' : ''}`),
    stat('Quarantine', short(held), held ? count(o.quarantine.length, 'reason') : 'nothing was refused'),
    o.expectations.length > 0 && stat('Expectations', broken ? `${broken} broken` : 'all met', `of ${o.expectations.length}`)];
  put($('stats'), ...parts);
}

// ---- tables

function fieldsOf(table) {
  const select = `SELECT * FROM ${sqlName(table)} LIMIT 100`;
  return el('tr', {class: 'detail'}, el('td', {colspan: 5},
    el('ul', {class: 'fields'}, table.columns.map((c) => el('li', {}, el('span', {}, c.name), el('span', {}, c.type)))),
    el('span', {class: 'soft'}, `${count(table.columns.length, 'column')}, ${bytes(table.bytes)} in ${count(table.files === null ? 0 : table.files, 'file')}, changed in snapshot ${number(table.changed_snapshot)}  `),
    may.query && el('button', {type: 'button', class: 'link', 'data-key': `select ${nameOf(table)}`, click: () => openQuery(select, true)}, 'See rows')));
}

function rowsOf(table, most) {
  const key = nameOf(table), open = opened.has(key);
  const toggle = () => {
    if (!opened.delete(key)) opened.add(key);
    drawTables();
  };
  const name = el('button', {type: 'button', class: 'link open', 'aria-expanded': String(open), 'data-key': key, click: toggle}, key,
    table.kind !== 'table' && el('span', {class: 'soft'}, ` ${table.kind}`));
  const share = svg('svg', {class: 'share', width: 60, height: 3, 'aria-hidden': 'true'}, svg('rect', {class: table.layer, width: 60 * (table.rows || 0) / (most || 1), height: 3}));
  const row = el('tr', {}, el('td', {}, name), el('td', {class: 'n'}, number(table.rows)), el('td', {class: 'n wide'}, share),
    el('td', {class: 'n wide'}, bytes(table.bytes)), el('td', {class: 'n t'}, since(table.changed_at)));
  return open ? [row, fieldsOf(table)] : [row];
}

function drawTables() {
  const tables = seen.overview.tables, most = Math.max(1, ...tables.map((t) => t.rows || 0));
  const rows = LAYERS.flatMap((layer) => {
    const of = tables.filter((t) => t.layer === layer);
    if (!of.length) return [];
    const head = el('tr', {class: 'layer'}, el('th', {scope: 'rowgroup'}, el('span', {class: `dot ${layer}`}), layer[0].toUpperCase() + layer.slice(1)),
      el('td', {class: 'n'}, number(sum(of, 'rows'))), el('td', {class: 'wide'}), el('td', {class: 'n wide'}, bytes(sum(of, 'bytes'))), el('td'));
    return [head, ...of.flatMap((t) => rowsOf(t, most))];
  });
  const columns = [{name: 'Name'}, {name: 'Rows', number: true}, {name: '', wide: true}, {name: 'Bytes', number: true, wide: true}, {name: 'Changed', number: true}];
  put($('tables'), tables.length ? grid(columns, rows, 'Tables by layer') : empty('There is no table that this token may read.'));
  setText($('tables-note'), tables.length ? `${count(tables.length, 'table')}, ${count(sum(tables, 'rows'), 'row')}` : '');
}

// ---- models and what is expected of them

function drawModels() {
  const models = seen.overview.pipelines;
  $('models-panel').hidden = !models.length;
  const columns = [{name: 'Model'}, {name: 'In', number: true}, {name: 'Out', number: true}, {name: 'Quarantined', number: true, wide: true}, {name: 'Filtered', number: true, wide: true},
    {name: 'How', wide: true}, {name: 'Refreshed', number: true}];
  put($('models'), grid(columns, models.map((m) => [el('span', {class: 'mono'}, m.model), number(m.rows_in), number(m.rows_out), number(m.quarantined), number(m.filtered),
    el('span', {class: 'soft'}, m.how || '–'), since(m.refreshed_at)]), 'Models and their rows'));
}

function drawExpectations() {
  const all = seen.overview.expectations, broken = all.filter((e) => !e.passed);
  $('expectations-panel').hidden = !all.length;
  setText($('expectations-note'), broken.length ? `${broken.length} of ${all.length} broken` : `all ${all.length} met`);
  const told = (e) => (e.passed ? 'met' : el('span', {class: e.severity === 'error' ? 'wrong' : 'warn'}, `${e.held_back ? 'held back, ' : ''}${count(e.failed_rows, 'row')}`));
  put($('expectations'), grid([{name: 'Table'}, {name: 'Expected'}, {name: 'Severity', wide: true}, {name: 'Result', number: true}, {name: 'Checked', number: true, wide: true}],
    [...broken, ...all.filter((e) => e.passed)].map((e) => [el('span', {class: 'mono'}, e.table), e.name, e.severity, told(e), since(e.checked_at)]), 'Expectations'));
}

// ---- ingest

function drawIngest() {
  const {ingest, lanes} = seen.overview;
  $('ingest-panel').hidden = !lanes.length && !ingest.length;
  const steps = new Map();
  for (const step of ingest) steps.set(Date.parse(step.at), (steps.get(Date.parse(step.at)) || 0) + step.rows);
  const times = [...steps.keys()].sort((a, b) => a - b), end = times[times.length - 1];
  const values = Array.from({length: 91}, (_, i) => steps.get(end - (90 - i) * 10000) || 0);
  setText($('ingest-note'), times.length ? `${count(sum(ingest, 'rows'), 'row')} in 15 minutes, at most ${short(Math.max(...values) / 10)}/s` : '');
  $('ingest-note').title = times.length ? `The 15 minutes before ${utc(end + 10000).slice(0, 19)} UTC` : '';
  put($('ingest'), times.length ? spark(values, 400, 56, 'Rows committed in the last 15 minutes, in steps of 10 seconds') : el('span'));
  drawLanes();
}

function drawLanes() {
  const lag = (lane) => {
    const found = (latest().get('tarn_lane_lag_messages') || []).find((e) => e.labels.stream === lane.stream && Number(e.labels.partition ?? e.labels.lane) === lane.lane);
    return found ? found.value : null;
  };
  const lanes = seen.overview.lanes, live = lanes.some((lane) => lag(lane) !== null);
  const columns = [{name: 'Lane'}, {name: 'Next offset', number: true}, {name: 'Rows', number: true}, ...(live ? [{name: 'Lag', number: true}] : []), {name: 'Committed', number: true}];
  put($('lanes'), lanes.length ? grid(columns, lanes.slice(0, 64).map((lane) => [el('span', {title: `${lane.topic} to ${lane.table}`}, `${lane.stream} ${lane.lane}`), number(lane.next_offset), number(lane.rows),
    ...(live ? [number(lag(lane))] : []), since(lane.committed_at)]), 'Lanes of the streams') : el('span'),
  lanes.length > 64 ? el('p', {class: 'soft'}, `and ${lanes.length - 64} more lanes`) : null);
}

// ---- the pool

const figure = (name, value) => el('div', {}, el('dt', {}, name), el('dd', {}, value));

function drawPool() {
  const pool = seen.pool;
  $('pool-panel').hidden = !pool;
  if (!pool) return;
  const q = latencyNow(), rate = rateOf('ducklake_pool_query_duration_seconds_count', {pool: pool.name}, 10500);
  const states = Object.entries(pool.counts).filter(([, n]) => n > 0).map(([state, n]) => `${n} ${state}`).join(', ');
  setText($('pool-note'), `${pool.name}: ${pool.workers.length} of ${pool.min} to ${pool.max} workers`);
  const late = pool.totals.lost + pool.totals.late, refused = pool.totals.refused_full + pool.totals.refused_waited;
  put($('pool'),
    el('div', {class: 'workers', role: 'img', 'aria-label': `Workers: ${states || 'none'}`}, pool.workers.map((w) => el('span', {class: w.state,
      title: `Worker ${w.id}: ${w.state}, ${count(w.queries, 'query').replace('querys', 'queries')}, ${bytes(w.memory)}, ${milliseconds(w.age_ms)} old`}))),
    el('p', {class: 'soft'}, states || 'no worker', pool.circuit_open && el('span', {class: 'wrong'}, '; workers cannot be started, each query has one of its own')),
    el('dl', {class: 'figures'}, figure('Waiting', number(pool.waiting)), figure('p50', q ? milliseconds(q.values[0] * 1000) : '–'), figure('p99', q ? milliseconds(q.values[1] * 1000) : '–'),
      figure('Queries', rate === null ? number(pool.totals.queries) : `${short(rate)}/s`), figure('Refused', number(refused)), figure('Lost or late', number(late))));
}

// ---- quarantine and endpoints

function drawQuarantine() {
  const all = seen.overview.quarantine;
  setText($('quarantine-note'), all.length ? `${number(sum(all, 'count'))} in ${count(all.length, 'reason')}` : '');
  put($('quarantine'), all.length ? grid([{name: 'Reason'}, {name: 'Count', number: true}, {name: 'Newest', number: true}], all.map((q) => [
    [el('div', {}, q.reason), el('div', {class: 'soft'}, `${q.kind === 'row' ? 'rows of' : 'messages of'} ${q.source}`)].reduce((cell, part) => { cell.append(part); return cell; }, el('div')),
    number(q.count), since(q.newest)]), 'Quarantine by reason') : empty('Nothing was refused.'));
}

function drawEndpoints() {
  $('endpoints-panel').hidden = !may.endpoints.length;
  setText($('endpoints-note'), count(may.endpoints.length, 'endpoint'));
  put($('endpoints'), grid([{name: 'Path'}], may.endpoints.map((e) => [el('div', {}, el('div', {class: 'mono'}, `${e.method || 'GET'} ${e.path}`), el('div', {class: 'soft'}, e.description || e.name))]), 'Endpoints'));
}

function drawOverview() {
  const o = seen.overview;
  if (!o) return;
  drawStats();
  once('snapshots', o.snapshots, drawTimeline);
  once('tables', o.tables, drawTables);
  once('models', o.pipelines, drawModels);
  once('expectations', o.expectations, drawExpectations);
  once('ingest', [o.ingest, o.lanes], drawIngest);
  once('quarantine', o.quarantine, drawQuarantine);
  once('endpoints', may.endpoints, drawEndpoints);
  once('shelf', o.tables.map((t) => [t.schema, t.name, t.layer, t.columns]), drawShelf);
}

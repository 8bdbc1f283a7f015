// The SQL box, and the answer of a question: run, cancel, history, download, table and chart.

const HISTORY = 'tarn.history', DRAFT = 'tarn.sql', HISTORY_MAX = 50;
const running = {query: null, question: null};
const reading = {snapshot: null};

const PLAIN = /^[a-z_][a-z0-9_]*$/;
const sqlWord = (name) => (PLAIN.test(name) ? name : `"${name.replaceAll('"', '""')}"`);
const sqlName = (table) => (table.schema === 'main' ? sqlWord(table.name) : `${sqlWord(table.schema)}.${sqlWord(table.name)}`);

function openQuery(sql, run) {
  if (sql !== null) $('sql').value = sql;
  show('query');
  $('sql').focus();
  if (run) runQuery();
}

// Which snapshot the SQL box reads: null is the newest.
function readAt(id) {
  reading.snapshot = id;
  $('at').hidden = id === null;
  put($('at'), id === null ? el('span') : el('span', {}, `at snapshot ${number(id)}`),
    id === null ? null : el('button', {type: 'button', 'aria-label': 'Read the newest snapshot instead', click: () => { chosenSnapshot.id = null; readAt(null); if (seen.overview) drawTimeline(); $('sql').focus(); }}, 'newest'));
}

// ---- the shelf of tables

function insertWord(word) {
  const box = $('sql');
  box.setRangeText(word, box.selectionStart, box.selectionEnd, 'end');
  box.focus();
  keepDraft();
}

function drawShelf() {
  const tables = seen.overview.tables;
  put($('shelf'), LAYERS.flatMap((layer) => {
    const of = tables.filter((t) => t.layer === layer);
    if (!of.length) return [];
    return [el('h3', {}, el('span', {class: `dot ${layer}`}), layer[0].toUpperCase() + layer.slice(1)), ...of.map((t) => el('details', {}, el('summary', {}, nameOf(t)),
      el('button', {type: 'button', class: 'link row', click: () => insertWord(sqlName(t))}, el('span', {}, 'insert the name'), el('span')),
      t.columns.map((c) => el('button', {type: 'button', class: 'link row', title: `${c.name} ${c.type}`, click: () => insertWord(sqlWord(c.name))}, el('span', {}, c.name), el('span', {}, c.type)))))];
  }));
}

// ---- history, in this tab alone

function historyOf() {
  try {
    const list = JSON.parse(sessionStorage.getItem(HISTORY) || '[]');
    return Array.isArray(list) ? list.filter((sql) => typeof sql === 'string') : [];
  } catch (_) {
    return [];
  }
}

function keepHistory(sql) {
  const list = [sql, ...historyOf().filter((old) => old !== sql)].slice(0, HISTORY_MAX);
  try {
    sessionStorage.setItem(HISTORY, JSON.stringify(list));
  } catch (_) { /* full: the older ones must do */ }
  historyAt.index = -1;
  drawHistory();
}

const historyAt = {index: -1};

function drawHistory() {
  const list = historyOf();
  $('history').hidden = !list.length;
  put($('history-list'), list.map((sql) => el('button', {type: 'button', title: sql, click: () => { $('sql').value = sql; $('history').open = false; $('sql').focus(); keepDraft(); }}, sql.replace(/\s+/g, ' '))));
}

function stepHistory(by) {
  const list = historyOf(), to = historyAt.index + by;
  if (to < 0 || to >= list.length) return;
  historyAt.index = to;
  $('sql').value = list[to];
}

function keepDraft() {
  try {
    sessionStorage.setItem(DRAFT, $('sql').value);
  } catch (_) { /* a draft too large to keep */ }
}

// ---- running

function busy(which, controller) {
  running[which] = controller;
  const [run, cancel] = which === 'query' ? ['run', 'cancel'] : ['ask', 'ask-cancel'];
  $(run).disabled = Boolean(controller);
  $(cancel).disabled = !controller;
  if (which === 'query') for (const button of document.querySelectorAll('[data-format]')) button.disabled = Boolean(controller);
}

// Runs `work` with a status that counts the time, a cancel button, and its problem shown.
async function attempt(which, prefix, words, work) {
  const controller = new AbortController(), began = performance.now(), status = $(`${prefix}-status`);
  const tick = () => setText(status, `${words} ${milliseconds(Math.round((performance.now() - began) / 100) * 100)}`);
  const timer = setInterval(tick, 100);
  busy(which, controller);
  put($(`${prefix}-problem`));
  tick();
  try {
    const told = await work(controller.signal, () => performance.now() - began);
    clearInterval(timer);
    setText(status, told);
  } catch (error) {
    clearInterval(timer);
    setText(status, error.name === 'AbortError' ? `Cancelled after ${milliseconds(performance.now() - began)}` : '');
    if (error.name !== 'AbortError') put($(`${prefix}-problem`), problemBox(error));
  } finally {
    clearInterval(timer);
    busy(which, null);
  }
}

function queryBody(format) {
  const body = {sql: $('sql').value, format, catalog: seen.catalog};
  if (reading.snapshot !== null) body.snapshot = reading.snapshot;
  return body;
}

// What the response's headers tell of how it was made.
function provenance(response) {
  const part = (name, words) => (response.headers.get(name) === null ? null : words(response.headers.get(name)));
  return [part('Tarn-Snapshot', (v) => `snapshot ${number(Number(v))}`), part('Tarn-Worker', (v) => `worker ${v}`),
    part('Tarn-Queue-Ms', (v) => (Number(v) >= 1 ? `waited ${milliseconds(Number(v))}` : null))].filter(Boolean);
}

function toldOf(answer, response, ms) {
  const rows = answer.whole ? count(answer.rows.length, 'row') : `the first ${count(answer.rows.length, 'row')}${answer.broken ? '' : '; there are more'}`;
  return [rows, milliseconds(ms), ...provenance(response)].join(' · ');
}

async function runQuery() {
  const sql = $('sql').value;
  if (running.query || !sql.trim()) return;
  keepDraft();
  keepHistory(sql);
  put($('sql-answer'));
  await attempt('query', 'sql', 'Running', async (signal, elapsed) => {
    const response = await ask('/query', {json: queryBody('ndjson'), signal});
    const answer = await readRows(response, ROWS_SHOWN);
    if (answer.broken) put($('sql-problem'), problemBox(new Problem(0, 'The answer broke off', 'The query failed after its first rows had been sent; those below are not all.', 0)));
    put($('sql-answer'), answerView(answer, 'Rows of the query'));
    return toldOf(answer, response, elapsed());
  });
}

async function download(format) {
  if (running.query || !$('sql').value.trim()) return;
  keepHistory($('sql').value);
  await attempt('query', 'sql', `Downloading ${format}`, async (signal, elapsed) => {
    const response = await ask('/query', {json: queryBody(format), signal});
    let blob;
    try {
      blob = await response.blob();
    } catch (error) {
      if (error.name === 'AbortError') throw error;
      throw new Problem(0, 'The answer broke off', 'The query failed after its first rows had been sent. Nothing was saved.', 0);
    }
    const url = URL.createObjectURL(blob);
    el('a', {href: url, download: `query.${format}`}).click();
    setTimeout(() => URL.revokeObjectURL(url), 60000);
    return [`${bytes(blob.size)} as ${format}`, milliseconds(elapsed()), ...provenance(response)].join(' · ');
  });
}

// ---- an answer: a table, or a chart of it

function chooser(name, answer, value, onlyNumbers, changed) {
  const options = answer.columns.map((c, i) => (onlyNumbers && c.kind !== 'number' ? null : el('option', {value: i, selected: i === value}, c.name)));
  if (!onlyNumbers) options.unshift(el('option', {value: -1, selected: value < 0}, 'row'));
  return el('label', {}, el('span', {class: 'soft'}, `${name} `), el('select', {change: (event) => changed(Number(event.target.value))}, options));
}

// Its tools and itself.
function chartView(answer, chosen) {
  const box = el('div', {class: 'chart'}), tools = el('span', {class: 'group'});
  const draw = () => put(box, drawChart(answer, chosen, Math.max(260, (box.clientWidth || 800) - 32)));
  const kinds = el('span', {class: 'toggle', role: 'group', 'aria-label': 'Kind of chart'}, ['bar', 'line'].map((kind) => el('button', {type: 'button', 'aria-pressed': String(chosen.kind === kind), click: (event) => {
    chosen.kind = kind;
    for (const button of event.target.parentNode.children) button.setAttribute('aria-pressed', String(button === event.target));
    draw();
  }}, kind === 'bar' ? 'Bars' : 'Line')));
  fill(tools, {}, [chooser('Of', answer, chosen.y, true, (i) => { chosen.y = i; draw(); }), chooser('by', answer, chosen.x, false, (i) => { chosen.x = i; draw(); }), kinds]);
  new ResizeObserver(() => { if (box.clientWidth !== Number(box.dataset.width)) { box.dataset.width = box.clientWidth; draw(); } }).observe(box);
  return [tools, box];
}

function answerView(answer, caption) {
  if (!answer.rows.length) return empty('No rows.');
  const chosen = chooseChart(answer.columns), body = el('div'), extra = el('span');
  const views = {Table: () => [el('span'), sheet(answer, caption)], Chart: () => chartView(answer, chosen)};
  const pick = (name, buttons) => {
    for (const button of buttons) button.setAttribute('aria-pressed', String(button.textContent === name));
    const [tools, view] = views[name]();
    extra.replaceChildren(tools);
    body.replaceChildren(view);
  };
  const buttons = Object.keys(views).map((name) => el('button', {type: 'button', click: () => pick(name, buttons)}, name));
  buttons[1].disabled = !chosen;
  pick('Table', buttons);
  return el('div', {class: 'answer'}, el('div', {class: 'tools'}, el('span', {class: 'toggle', role: 'group', 'aria-label': 'Show the rows as'}, buttons), extra), body);
}

// ---- questions

async function runQuestion() {
  const question = $('question').value.trim();
  if (running.question || !question) return;
  put($('ask-sql'));
  put($('ask-answer'));
  await attempt('question', 'ask', 'Asking', async (signal, elapsed) => {
    const response = await ask('/sql', {json: {question, catalog: seen.catalog}, signal});
    const told = await response.text(), answer = answerOfQuestion(told);
    const tables = (answer.tables || []).map(String);
    put($('ask-sql'), el('pre', {}, answer.sql), el('div', {class: 'tools'}, may.query && el('button', {type: 'button', click: () => openQuery(answer.sql, false)}, 'Open in the SQL box'),
      el('span', {class: 'soft'}, tables.length ? `reads ${tables.join(', ')}` : '')));
    put($('ask-answer'), answerView(answer, 'Rows of the question'));
    return [`${answer.truncated ? 'the first ' : ''}${count(answer.rows.length, 'row')}`, milliseconds(elapsed()), answer.snapshot === null ? null : `snapshot ${number(answer.snapshot)}`].filter(Boolean).join(' · ');
  });
}

// The rows are cut out of the text as they stand, for the same reasons as in 4-rows.js.
function answerOfQuestion(text) {
  const told = Object.fromEntries(readRow(text).map((cell) => [cell.name, cell]));
  const rows = [];
  const list = told.results ? told.results.text : '[]';
  for (let at = 1; at < list.length;) {
    if (list[at] !== '{') { at++; continue; }
    const row = nested(list, at);
    rows.push(readRow(row));
    at += row.length;
  }
  const snapshot = told.snapshot && told.snapshot.kind === 'number' ? Number(told.snapshot.text) : null;
  const truncated = Boolean(told.truncated) && told.truncated.text === 'true';
  return describe({columns: [], rows, whole: !truncated, truncated, broken: false, sql: told.sql ? told.sql.text : '', snapshot, tables: told.tables ? JSON.parse(told.tables.text) : []});
}

function wireQuery() {
  const box = $('sql');
  try {
    box.value = sessionStorage.getItem(DRAFT) || '';
  } catch (_) { /* without storage the box is empty */ }
  $('run').addEventListener('click', runQuery);
  $('cancel').addEventListener('click', () => running.query && running.query.abort());
  $('ask').addEventListener('click', runQuestion);
  $('ask-cancel').addEventListener('click', () => running.question && running.question.abort());
  box.addEventListener('change', keepDraft);
  box.addEventListener('keydown', (event) => {
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) runQuery();
    else if (event.key === 'Escape' && running.query) running.query.abort();
    else if (event.altKey && event.key === 'ArrowUp') stepHistory(1);
    else if (event.altKey && event.key === 'ArrowDown') stepHistory(-1);
    else return;
    event.preventDefault();
  });
  $('question').addEventListener('keydown', (event) => {
    if (event.key !== 'Enter' || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    runQuestion();
  });
  for (const button of document.querySelectorAll('[data-format]')) button.addEventListener('click', () => download(button.dataset.format));
  document.addEventListener('click', (event) => { if (!$('history').contains(event.target)) $('history').open = false; });
  drawHistory();
}

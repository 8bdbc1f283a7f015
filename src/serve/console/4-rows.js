// Rows as the server writes them: a line of JSON each. Read by hand and not by JSON.parse, which would round
// 9007199254740993, lose the order of columns called "1" and "2", and one of two with the same name.

const ROWS_SHOWN = 1000;
const SPACE = /[\s,:]*/y, STRING = /"(?:[^"\\]|\\.)*"/y, WORD = /[^\s,\]}]+/y;

function take(pattern, line, at) {
  pattern.lastIndex = at;
  const match = pattern.exec(line);
  if (!match) throw new Problem(0, 'The answer cannot be read', 'A row of it is not JSON.', 0);
  return match[0];
}

// The text of a list or an object, to its own end.
function nested(line, begin) {
  let depth = 0, at = begin;
  do {
    const c = line[at];
    if (c === undefined) throw new Problem(0, 'The answer cannot be read', 'A row of it is not JSON.', 0);
    if (c === '"') { at += take(STRING, line, at).length; continue; }
    if (c === '{' || c === '[') depth++;
    if (c === '}' || c === ']') depth--;
    at++;
  } while (depth);
  return line.slice(begin, at);
}

function readCell(line, at) {
  const c = line[at];
  if (c === '"') {
    const raw = take(STRING, line, at);
    return {size: raw.length, kind: 'text', text: JSON.parse(raw)};
  }
  if (c === '{' || c === '[') {
    const raw = nested(line, at);
    return {size: raw.length, kind: 'nested', text: raw};
  }
  const raw = take(WORD, line, at);
  return {size: raw.length, kind: raw === 'null' ? 'null' : raw === 'true' || raw === 'false' ? 'boolean' : 'number', text: raw};
}

// [{name, kind, text}]; kind is null, boolean, number, text or nested.
function readRow(line) {
  const cells = [];
  let at = line.indexOf('{') + 1;
  for (;;) {
    at += take(SPACE, line, at).length;
    if (line[at] === '}' || at >= line.length) return cells;
    const name = take(STRING, line, at);
    at += name.length;
    at += take(SPACE, line, at).length;
    const cell = readCell(line, at);
    at += cell.size;
    cells.push({name: JSON.parse(name), kind: cell.kind, text: cell.text});
  }
}

// Reads at most `most` rows of a response. Its `whole` is false where there are more, or where it broke off (then `broken`, too).
async function readRows(response, most) {
  const reader = response.body.getReader(), decoder = new TextDecoder();
  const answer = {columns: [], rows: [], whole: false, broken: false};
  let text = '';
  const add = (line) => { if (line.trim()) answer.rows.push(readRow(line)); };
  try {
    for (;;) {
      const {done, value} = await reader.read();
      text += done ? decoder.decode() : decoder.decode(value, {stream: true});
      const lines = text.split('\n');
      text = done ? '' : lines.pop();
      for (const line of lines) {
        if (line.trim() && answer.rows.length === most) { reader.cancel().catch(() => {}); return describe(answer); }
        add(line);
      }
      if (done) { answer.whole = true; return describe(answer); }
    }
  } catch (error) {
    if (error.name === 'AbortError' || error instanceof Problem) throw error;
    answer.broken = true;
    return describe(answer);
  }
}

const DATE = /^\d{4}-\d\d-\d\d([ T]\d\d:\d\d(:\d\d(\.\d+)?)?([+-]\d\d(:?\d\d)?|Z)?)?$/;

// What the columns are, by what is in them.
function describe(answer) {
  const first = answer.rows[0] || [];
  answer.columns = first.map((cell, i) => {
    const kinds = new Set();
    let dates = true;
    for (const row of answer.rows) {
      const {kind, text} = row[i] || {kind: 'null'};
      if (kind === 'null') continue;
      kinds.add(kind);
      if (kind !== 'text' || !DATE.test(text)) dates = false;
    }
    const kind = kinds.size === 1 ? [...kinds][0] : kinds.size ? 'text' : 'null';
    return {name: cell.name, kind: kind === 'text' && dates ? 'time' : kind};
  });
  return answer;
}

// JavaScript reads "2026-11-29 10:00:00" as local time and "+00" not at all.
function timeOf(text) {
  let iso = text.replace(' ', 'T').replace(/(\.\d{3})\d+/, '$1');
  if (!iso.includes('T')) return Date.parse(iso);
  if (/[+-]\d\d$/.test(iso)) iso += ':00';
  else if (!/(Z|[+-]\d\d:?\d\d)$/.test(iso)) iso += 'Z';
  return Date.parse(iso);
}

// ---- the table of them

// Where two numbers are too large to differ as doubles, their digits decide.
function compareNumbers(a, b) {
  const difference = Number(a) - Number(b);
  if (difference || !/^-?\d+$/.test(a) || !/^-?\d+$/.test(b)) return difference || 0;
  const exact = BigInt(a) - BigInt(b);
  return exact > 0n ? 1 : exact < 0n ? -1 : 0;
}

function compareCells(kind) {
  return (a, b) => {
    if (a.kind === 'null' || b.kind === 'null') return (a.kind === 'null') - (b.kind === 'null');
    if (kind === 'number') return compareNumbers(a.text, b.text);
    return a.text < b.text ? -1 : a.text > b.text ? 1 : 0;
  };
}

function cellOf(cell, kind) {
  if (cell.kind === 'null') return el('td', {class: kind === 'number' ? 'n null' : 'null'}, 'NULL');
  const text = cell.text.length > 2000 ? `${cell.text.slice(0, 2000)}…` : cell.text;
  return el('td', {class: kind === 'number' ? 'n' : null, title: text.length > 60 ? text : null}, text);
}

function sheet(answer, caption) {
  const sorted = {column: -1, down: false};
  const body = el('tbody'), heads = [];
  const draw = () => {
    let rows = answer.rows;
    if (sorted.column >= 0) {
      const compare = compareCells(answer.columns[sorted.column].kind);
      const nulls = (a, b) => (a[sorted.column].kind === 'null') - (b[sorted.column].kind === 'null');
      rows = [...rows].sort((a, b) => nulls(a, b) || (sorted.down ? -1 : 1) * compare(a[sorted.column], b[sorted.column]));
    }
    body.replaceChildren(...rows.map((row) => el('tr', {}, answer.columns.map((c, i) => cellOf(row[i] || {kind: 'null'}, c.kind)))));
    heads.forEach((head, i) => {
      if (i === sorted.column) head.setAttribute('aria-sort', sorted.down ? 'descending' : 'ascending');
      else head.removeAttribute('aria-sort');
      setText(head.firstChild.lastChild, i === sorted.column ? (sorted.down ? ' ↓' : ' ↑') : '');
    });
  };
  const by = (i) => () => {
    sorted.down = sorted.column === i ? !sorted.down : false;
    sorted.column = i;
    draw();
  };
  answer.columns.forEach((column, i) => heads.push(el('th', {scope: 'col', class: column.kind === 'number' ? 'n' : null},
    el('button', {type: 'button', click: by(i), title: `Sort the rows shown by ${column.name}`}, column.name, el('span', {'aria-hidden': 'true'})))));
  draw();
  return el('div', {class: 'sheet', tabindex: 0, role: 'region', 'aria-label': caption}, el('table', {},
    el('caption', {class: 'hidden'}, caption), el('thead', {}, el('tr', {}, heads)), body));
}

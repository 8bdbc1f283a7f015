// Elements, numbers and times. Text from outside becomes text nodes; no string ever becomes markup.

const $ = (id) => document.getElementById(id);

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (typeof value === 'function') node.addEventListener(name, value);
    else node.setAttribute(name, value === true ? '' : String(value));
  }
  for (const child of children.flat()) {
    if (child === null || child === undefined || child === false) continue;
    node.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
  return node;
}

const el = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
const svg = (tag, attributes, ...children) => fill(document.createElementNS('http://www.w3.org/2000/svg', tag), attributes, children);

// Puts other children into a node; whoever had the focus, known by data-key, has it again.
function put(node, ...children) {
  const key = node.contains(document.activeElement) ? document.activeElement.getAttribute('data-key') : null;
  node.replaceChildren(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  if (key === null) return;
  for (const candidate of node.querySelectorAll('[data-key]'))
    if (candidate.getAttribute('data-key') === key) return candidate.focus({preventScroll: true});
}

const setText = (node, text) => { if (node.textContent !== text) node.textContent = text; };

const whole = new Intl.NumberFormat('en-US');
const number = (n) => (n === null || n === undefined ? '–' : whole.format(n));
const count = (n, what) => `${number(n)} ${what}${n === 1 ? '' : 's'}`;

// 1,234 stays, 12,345,678 is 12.3 M: three figures at least.
function short(n) {
  if (n === null || n === undefined || !Number.isFinite(n)) return '–';
  for (const [size, unit] of [[1e12, 'T'], [1e9, 'G'], [1e6, 'M'], [1e4, 'k']])
    if (Math.abs(n) >= size) return `${figures(n / (unit === 'k' ? 1e3 : size))} ${unit}`;
  return Number.isInteger(n) ? number(n) : figures(n);
}

function figures(n) {
  const size = Math.abs(n);
  return n.toLocaleString('en-US', {maximumFractionDigits: size >= 100 ? 0 : size >= 10 ? 1 : 2});
}

function bytes(n) {
  if (n === null || n === undefined) return '–';
  let unit = 0;
  const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];
  while (n >= 1000 && unit < units.length - 1) { n /= 1000; unit++; }
  return `${unit ? figures(n) : n} ${units[unit]}`;
}

function milliseconds(ms) {
  if (ms === null || ms === undefined || Number.isNaN(ms)) return '–';
  if (ms < 1000) return `${figures(ms)} ms`;
  return ms < 60000 ? `${figures(ms / 1000)} s` : `${Math.floor(ms / 60000)} min ${Math.round(ms % 60000 / 1000)} s`;
}

// ---- times: what is shown as "3 s ago" goes on by itself, by the server's clock

const clock = {offset: 0};
const serverNow = () => Date.now() + clock.offset;

function learnClock(response) {
  const date = Date.parse(response.headers.get('Date') || '');
  // The header has whole seconds: within one there is nothing to correct.
  if (Number.isFinite(date) && Math.abs(date - serverNow()) > 1500) clock.offset = date - Date.now();
}

function ago(time) {
  const s = Math.max(0, (serverNow() - time) / 1000);
  if (s < 1.5) return 'just now';
  if (s < 60) return `${Math.floor(s)} s ago`;
  if (s < 3600) return `${Math.floor(s / 60)} min ago`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ago`;
  return `${Math.floor(s / 86400)} d ago`;
}

const utc = (time) => new Date(time).toISOString().replace('T', ' ').replace('Z', ' UTC');

function since(at) {
  const time = Date.parse(at || '');
  if (!Number.isFinite(time)) return el('span', {class: 'soft'}, '–');
  return el('time', {datetime: at, title: utc(time), 'data-ago': time}, ago(time));
}

setInterval(() => {
  if (document.hidden) return;
  for (const node of document.querySelectorAll('[data-ago]')) setText(node, ago(Number(node.dataset.ago)));
}, 1000);

// ---- tables

// columns: [{name, number, time, wide}]; rows: of cells, which are texts or nodes.
function grid(columns, rows, caption) {
  const kind = (column) => [column.number ? 'n' : column.time ? 't' : '', column.wide ? 'wide' : ''].join(' ').trim() || null;
  return el('div', {class: 'scroll'}, el('table', {},
    el('caption', {class: 'hidden'}, caption),
    el('thead', {}, el('tr', {}, columns.map((c) => el('th', {scope: 'col', class: kind(c)}, c.name)))),
    el('tbody', {}, rows.map((row) => row instanceof Node ? row : el('tr', {}, row.map((cell, i) => el('td', {class: kind(columns[i])}, cell)))))));
}

const empty = (text) => el('p', {class: 'empty'}, text);

// Snapshots as a time line: one mark each, evenly set, as high as much was changed; a click tells what and reads there.

const chosenSnapshot = {id: null};
const KINDS = {inserted: 'in', deleted: 'out', created: 'shape', altered: 'shape', dropped: 'shape'};

const changedRows = (s) => sum(s.changes.filter((c) => c.what === 'inserted' || c.what === 'deleted'), 'rows');

function markClass(snapshot) {
  const kinds = snapshot.changes.map((c) => KINDS[c.what]);
  return ['shape', 'out', 'in'].find((kind) => kinds.includes(kind)) || 'stem';
}

const markTitle = (s) => `Snapshot ${s.id}, ${utc(s.at)}: ${s.changes.length ? s.changes.map((c) => `${c.what} ${nameOf({schema: c.schema, name: c.table})}`).join(', ') : 'nothing that this token may read'}`;

function mark(snapshot, x, width, height, most) {
  const rows = changedRows(snapshot), tall = 6 + (height - 34) * (most > 0 ? Math.sqrt(rows / most) : 0);
  const top = height - 20 - tall, chosen = snapshot.id === chosenSnapshot.id, w = Math.min(width - 1.5, 9);
  return svg('g', {role: 'option', 'aria-selected': String(chosen), 'aria-label': markTitle(snapshot), tabindex: -1, 'data-id': snapshot.id, 'data-key': `snapshot ${snapshot.id}`,
    click: () => selectSnapshot(snapshot.id)},
  svg('title', {}, markTitle(snapshot)), svg('rect', {class: 'hit', x, y: 0, width, height: height - 18}),
  svg('rect', {class: snapshot.changes.length ? markClass(snapshot) : 'stem', x: x + (width - w) / 2, y: top, width: w, height: tall, rx: Math.min(2, w / 2)}));
}

function timeMarks(shown, step, height) {
  const every = Math.max(1, Math.ceil(130 / step)), span = Date.parse(shown[shown.length - 1].at) - Date.parse(shown[0].at);
  const marks = [];
  for (let i = 0; i < shown.length; i += every) {
    const at = Date.parse(shown[i].at), text = new Date(at).toISOString();
    const words = span > 86400000 ? `${text.slice(0, 10)} ${text.slice(11, 16)}` : text.slice(11, 19);
    if (i * step + 100 < shown.length * step || i === 0) marks.push(svg('line', {class: 'axis', x1: i * step + step / 2, x2: i * step + step / 2, y1: height - 18, y2: height - 14}), svg('text', {x: i * step, y: height - 3}, words));
  }
  return marks;
}

function drawTimeline() {
  const all = seen.overview.snapshots, box = $('timeline');
  const width = Math.max(200, box.clientWidth || 600), height = 104;
  const shown = all.slice(0, Math.floor(width / 5)).reverse();
  setText($('snapshots-note'), all.length ? `the newest ${shown.length}; height: rows changed, by square root` : '');
  if (!shown.length) return put(box, empty('This catalog has no snapshots.'));
  const step = Math.min(26, width / shown.length), most = Math.max(...shown.map(changedRows));
  const list = svg('g', {class: 'marks', role: 'listbox', 'aria-label': 'Snapshots, oldest first', 'aria-orientation': 'horizontal', keydown: timelineKey},
    shown.map((s, i) => mark(s, i * step, step, height, most)));
  const entry = [...list.children].find((g) => Number(g.dataset.id) === chosenSnapshot.id) || list.lastChild;
  entry.setAttribute('tabindex', '0');
  put(box, svg('svg', {class: 'plot', viewBox: `0 0 ${width} ${height}`, height}, svg('line', {class: 'axis', x1: 0, x2: width, y1: height - 18, y2: height - 18}), list, timeMarks(shown, step, height)),
    el('p', {class: 'keys'}, [['', 'inserted'], ['out', 'deleted'], ['shape', 'tables made or altered'], ['stem', 'upkeep, or not to be read']].map(([kind, name]) => el('span', {}, el('i', {class: kind}), name))));
  drawSnapshot();
}

function timelineKey(event) {
  const marks = [...event.currentTarget.children], at = marks.indexOf(document.activeElement);
  const to = {ArrowLeft: at - 1, ArrowRight: at + 1, Home: 0, End: marks.length - 1}[event.key];
  if (event.key === 'Enter' || event.key === ' ') selectSnapshot(Number(marks[at].dataset.id));
  else if (to === undefined) return;
  else if (marks[to]) {
    marks[at].setAttribute('tabindex', '-1');
    marks[to].setAttribute('tabindex', '0');
    marks[to].focus();
  }
  event.preventDefault();
}

// Once more: it is not chosen any more.
function selectSnapshot(id) {
  chosenSnapshot.id = chosenSnapshot.id === id ? null : id;
  readAt(chosenSnapshot.id);
  drawTimeline();
}

// What Tarn's own commits say of themselves.
function noteOf(snapshot) {
  let note = null;
  try {
    note = JSON.parse(snapshot.note);
  } catch (_) { /* somebody else's words */ }
  if (note && typeof note.stream === 'string') return `stream ${note.stream}`;
  if (note && typeof note.pipeline === 'string') return `pipeline ${note.pipeline}`;
  return null;
}

function drawSnapshot() {
  const s = seen.overview.snapshots.find((snapshot) => snapshot.id === chosenSnapshot.id);
  if (!s) return put($('snapshot'));
  const changes = s.changes.map((c) => el('li', {}, el('span', {}, c.what), el('span', {class: 'mono'}, nameOf({schema: c.schema, name: c.table})), typeof c.rows === 'number' && el('span', {class: 'soft'}, count(c.rows, 'row'))));
  put($('snapshot'),
    el('div', {}, el('b', {}, `Snapshot ${number(s.id)}`), el('div', {class: 'soft'}, utc(s.at).slice(0, 19)), (s.author || s.message) && el('div', {class: 'soft'}, [s.author, noteOf(s) || s.message].filter(Boolean).join(', '))),
    el('div', {}, changes.length ? el('ul', {}, changes) : el('p', {class: 'soft'}, 'Nothing changed in it that this token may read.')),
    may.query ? el('button', {type: 'button', 'data-key': 'read here', click: () => openQuery(null, false)}, 'Query at this snapshot') : null);
}

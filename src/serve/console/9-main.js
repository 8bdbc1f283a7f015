// Signing in, views, and what is asked for again and again.

const TICK_MS = 2000, OVERVIEW_EVERY = 2;
const RATE_SHARE = 0.25; // of what the token may ask, for looking on
let may = null;
const loop = {timer: 0, round: 0, waitUntil: 0, generation: 0};

// ---- signing in and out

function signedOut(problem) {
  sessionStorage.removeItem(TOKEN);
  stopLoop();
  may = null;
  for (const which of ['query', 'question']) if (running[which]) running[which].abort();
  $('console').hidden = true;
  $('sign-in').hidden = false;
  setText($('token-error'), problem ? problem.detail || problem.title : '');
  $('token').value = '';
  $('token').focus();
}

async function signIn(quiet) {
  setText($('token-error'), '');
  try {
    may = await (await ask('/console/me')).json();
  } catch (problem) {
    if (problem.status === 401) return quiet ? setText($('token-error'), '') : undefined;
    $('sign-in').hidden = false;
    return setText($('token-error'), `${problem.title}. ${problem.detail || ''}`);
  }
  enter();
}

function enter() {
  $('sign-in').hidden = true;
  $('console').hidden = false;
  $('sign-out').hidden = may.anyone;
  setText($('whose'), may.anyone ? 'no token needed' : may.token);
  const names = may.catalogs.map((c) => c.name);
  put($('catalog'), names.map((name) => el('option', {value: name}, name)));
  $('catalog').hidden = names.length < 2;
  $('catalog-name').hidden = names.length !== 1;
  setText($('catalog-name'), names[0] || '');
  drawLimits();
  chooseCatalog(names[0]);
  startLoop();
}

function drawLimits() {
  const {rows, ms, requests, per_ms: per} = may.limits;
  const parts = [rows && `${short(rows)} rows`, ms && milliseconds(ms), requests && `${requests} requests in ${milliseconds(per)}`].filter(Boolean);
  $('whose').title = parts.length ? `At most ${parts.join(', ')} a query` : '';
}

// ---- catalogs and views

function chooseCatalog(name) {
  Object.assign(seen, {catalog: name, overview: null, pool: null, drawn: {}});
  overviewOf.forget();
  chosenSnapshot.id = null;
  readAt(null);
  lineage.at = 0;
  for (const id of ['stats', 'timeline', 'snapshot', 'tables', 'models', 'expectations', 'ingest', 'lanes', 'pool', 'quarantine', 'shelf']) put($(id));
  for (const id of ['stats', 'snapshots-panel', 'tables-panel', 'quarantine-panel']) $(id).hidden = !readsLake();
  const views = viewsOf(name), wanted = location.hash.slice(1);
  put($('views'), views.map((view) => el('button', {type: 'button', 'data-view': view, click: () => show(view)}, view[0].toUpperCase() + view.slice(1))));
  show(views.includes(wanted) ? wanted : 'overview');
}

// What may not be done is not offered.
function viewsOf(name) {
  const catalog = may.catalogs.find((c) => c.name === name);
  return ['overview', may.query && catalog && 'query', may.query && catalog && catalog.ask && 'questions', may.lineage && 'lineage'].filter(Boolean);
}

function show(view) {
  for (const button of $('views').children) {
    const current = button.dataset.view === view;
    if (current) button.setAttribute('aria-current', 'page');
    else button.removeAttribute('aria-current');
    $(`view-${button.dataset.view}`).hidden = !current;
  }
  for (const section of $('main').children) if (section.id !== `view-${view}`) section.hidden = true;
  history.replaceState(null, '', view === 'overview' ? location.pathname + location.search : `#${view}`);
  if (view === 'overview' && seen.overview) { seen.drawn = {}; loop.round = 0; drawOverview(); drawPool(); }
  if (view === 'lineage') drawLineage();
}

const viewNow = () => ([...$('views').children].find((b) => b.hasAttribute('aria-current')) || {dataset: {}}).dataset.view;

// ---- lineage: a picture, which as an image runs nothing

const lineage = {at: 0, url: null};

async function drawLineage() {
  if (lineage.at && performance.now() - lineage.at < 60000) return;
  put($('lineage-problem'));
  try {
    const blob = await (await ask('/console/lineage.svg')).blob();
    if (lineage.url) URL.revokeObjectURL(lineage.url);
    Object.assign(lineage, {at: performance.now(), url: URL.createObjectURL(blob)});
    put($('lineage'), el('img', {src: lineage.url, alt: 'Streams, tables, models, trained models and their scores, with lines from what each reads'}));
  } catch (problem) {
    put($('lineage-problem'), problemBox(problem));
  }
}

// ---- what is asked for again and again

// A token for endpoints alone is shown nothing of the lake, and the server would refuse to tell.
const readsLake = () => Boolean(seen.catalog) && may.query;
const inCatalog = (path) => (seen.catalog ? `${path}?catalog=${encodeURIComponent(seen.catalog)}` : path);
const overviewOf = follower(() => inCatalog('/console/overview'));

function startLoop() {
  stopLoop();
  loop.round = 0;
  round(loop.generation);
}

function stopLoop() {
  clearTimeout(loop.timer);
  loop.generation++;
}

function banner(text) {
  $('banner').hidden = !text;
  setText($('banner'), text);
}

async function round(generation) {
  try {
    if (!document.hidden && performance.now() >= loop.waitUntil) await look(generation);
  } catch (problem) {
    if (generation !== loop.generation) return;
    loop.waitUntil = performance.now() + 1000 * (problem.retryAfter || (problem.status === 0 ? 2 : 5));
    banner(`${problem.title || problem.message}. ${problem.detail || ''} What is shown is older.`);
  }
  if (generation === loop.generation) loop.timer = setTimeout(() => round(generation), tickMs());
}

// A pool each time and an overview every other, but of a slow token no more often than leaves it most of its rate.
function tickMs() {
  const {requests, per_ms: per} = may.limits;
  return requests ? Math.max(TICK_MS, (1 + 1 / OVERVIEW_EVERY) * per / (requests * RATE_SHARE)) : TICK_MS;
}

async function look(generation) {
  const catalog = seen.catalog, reads = readsLake(), open = viewNow() === 'overview';
  const full = loop.round++ % (open ? OVERVIEW_EVERY : 8 * OVERVIEW_EVERY) === 0;
  const [overview, pool] = await Promise.all([full && reads ? overviewOf() : null, open && reads ? lookAtPool() : seen.pool, lookAtMetrics()]);
  if (generation !== loop.generation || catalog !== seen.catalog) return;
  if (overview) seen.overview = overview;
  seen.pool = pool;
  banner('');
  if (viewNow() !== 'overview') return seen.overview && once('shelf', seen.overview.tables.map((t) => [t.schema, t.name, t.layer, t.columns]), drawShelf);
  if (!reads) put($('problem-overview'), empty(catalog ? 'This token may ask endpoints alone: nothing of the lake is shown to it.' : 'This token may see no catalog.'), may.endpoints.length ? null : empty('It may ask no endpoint, either.'));
  drawOverview();
  if (seen.overview) drawLanes();
  else drawEndpoints();
  drawPool();
}

async function lookAtPool() {
  return (await ask(inCatalog('/console/pool'))).json();
}

// Metrics may be kept from this token, or be elsewhere: then there are none.
async function lookAtMetrics() {
  if (!metrics.there) return;
  try {
    noteMetrics(await (await ask('/metrics')).text());
  } catch (problem) {
    if (problem.status === 0 || problem.status === 401 || problem.status === 429) throw problem;
    metrics.there = false;
  }
}

// ---- the beginning

function wire() {
  $('sign-in').addEventListener('submit', (event) => {
    event.preventDefault();
    const value = $('token').value.trim();
    if (!/^[\x21-\x7e]+$/.test(value)) return setText($('token-error'), 'This cannot be a token: it has other characters in it.');
    sessionStorage.setItem(TOKEN, value);
    $('token').value = '';
    signIn(false);
  });
  $('sign-out').addEventListener('click', () => {
    for (const key of [HISTORY, DRAFT]) sessionStorage.removeItem(key);
    $('sql').value = '';
    for (const id of ['sql-answer', 'sql-problem', 'ask-sql', 'ask-answer', 'ask-problem']) put($(id));
    signedOut(null);
  });
  $('catalog').addEventListener('change', (event) => { chooseCatalog(event.target.value); startLoop(); });
  const resize = () => $('lineage-size').setAttribute('aria-pressed', String($('lineage').classList.toggle('actual')));
  $('lineage-size').addEventListener('click', resize);
  if (window.innerWidth <= 640) resize(); // else nobody could read it
  window.addEventListener('hashchange', () => {
    if (takeFragment()) return location.reload();
    const view = location.hash.slice(1) || 'overview';
    if (may && viewsOf(seen.catalog).includes(view)) show(view);
  });
  let width = window.innerWidth;
  window.addEventListener('resize', () => {
    if (window.innerWidth === width || !seen.overview || viewNow() !== 'overview') return;
    width = window.innerWidth;
    drawTimeline();
  });
  document.addEventListener('visibilitychange', () => { if (!document.hidden && may) startLoop(); });
  wireQuery();
}

wire();
signIn(!token());

// The server: the token, requests, and problems (RFC 9457) as they are told.

const TOKEN = 'tarn.token';

class Problem extends Error {
  constructor(status, title, detail, retryAfter) {
    super(title);
    Object.assign(this, {status, title, detail, retryAfter});
  }
}

// "#token=..." signs in and leaves the address bar at once.
function takeFragment() {
  const match = /^#token=([^&]+)/.exec(location.hash);
  if (!match) return false;
  history.replaceState(null, '', location.pathname + location.search);
  try {
    sessionStorage.setItem(TOKEN, decodeURIComponent(match[1]));
  } catch (_) {
    return false;
  }
  return true;
}
takeFragment();

const token = () => sessionStorage.getItem(TOKEN);

async function problemOf(response) {
  let told = {};
  try {
    told = JSON.parse(await response.text());
  } catch (_) { /* it is not from this server: the status must do */ }
  const wait = Number(response.headers.get('Retry-After'));
  const text = (value) => (typeof value === 'string' ? value : '');
  let detail = text(told && told.detail);
  if (wait > 0) detail += `${detail ? ' ' : ''}It may be tried again in ${wait} s.`;
  const problem = new Problem(response.status, text(told && told.title) || `The server answered ${response.status}`, detail, wait > 0 ? wait : 0);
  problem.sql = text(told && told.sql);
  return problem;
}

// A response that is not 2xx (or 304) is thrown as a Problem; no answer at all is one of status 0.
async function ask(path, options) {
  const {json, headers, ...rest} = options || {};
  const all = {...headers};
  if (token()) all.Authorization = `Bearer ${token()}`;
  if (json !== undefined) all['Content-Type'] = 'application/json';
  let response;
  try {
    response = await fetch(path, {cache: 'no-store', credentials: 'omit', redirect: 'error', referrerPolicy: 'no-referrer',
      ...rest, headers: all, ...(json === undefined ? {} : {method: 'POST', body: JSON.stringify(json)})});
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new Problem(0, 'The server does not answer', 'It may have been stopped, or the network is away.', 0);
  }
  learnClock(response);
  if (response.ok || response.status === 304) return response;
  const problem = await problemOf(response);
  if (problem.status === 401) signedOut(problem);
  throw problem;
}

function problemBox(problem) {
  const status = problem.status ? ` (${problem.status})` : '';
  return el('div', {class: 'problem', role: 'alert'}, el('b', {}, `${problem.title || 'This page has a mistake'}${status}`),
    el('span', {}, problem.title ? problem.detail : String(problem.message)), problem.sql && el('pre', {}, problem.sql));
}

// What is asked for again and again with the ETag of the last answer. Null: nothing is new.
function follower(path) {
  let etag = null;
  const get = async () => {
    const response = await ask(path(), {headers: etag ? {'If-None-Match': etag} : {}});
    if (response.status === 304) return null;
    etag = response.headers.get('ETag');
    return response.json();
  };
  get.forget = () => { etag = null; };
  return get;
}

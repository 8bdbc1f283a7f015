'use strict';
/* Shows /openapi.json. Texts of it become text nodes, never markup. */
(() => {
  const KEY = 'tarn.token';
  const $ = (id) => document.getElementById(id);

  function element(name, attributes = {}, ...children) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) {
      if (key === 'class') made.className = value;
      else made.setAttribute(key, value);
    }
    made.append(...children.filter((child) => child !== null && child !== undefined));
    return made;
  }

  const headers = () => {
    const token = sessionStorage.getItem(KEY);
    return token ? { Authorization: `Bearer ${token}` } : {};
  };

  function typeOf(schema) {
    if (!schema) return 'any';
    if (schema.enum) return schema.enum.join(' | ');
    const type = Array.isArray(schema.type) ? schema.type.join(' or ') : schema.type || 'any';
    const bounds = [];
    if (schema.minimum !== undefined) bounds.push(`from ${schema.minimum}`);
    if (schema.maximum !== undefined) bounds.push(`to ${schema.maximum}`);
    if (schema.default !== undefined) bounds.push(`${schema.default} if left out`);
    const name = schema.format && schema.format !== 'int64' ? schema.format : type;
    return bounds.length ? `${name}, ${bounds.join(' ')}` : name;
  }

  /* The columns of the rows, wherever they stand in the answer. */
  function columnsOf(schema) {
    if (!schema) return null;
    if (schema.properties && schema.properties.rows) return columnsOf(schema.properties.rows);
    if (schema.items) return columnsOf(schema.items);
    return schema.properties || null;
  }

  function parameterTable(parameters) {
    const table = element('table');
    for (const parameter of parameters) {
      table.append(element('tr', {},
        element('td', {}, element('code', {}, parameter.name), parameter.required ? ' *' : ''),
        element('td', { class: 'soft' }, typeOf(parameter.schema)),
        element('td', {}, parameter.description || '')));
    }
    return table;
  }

  function columnTable(columns) {
    const table = element('table');
    for (const [name, schema] of Object.entries(columns)) {
      table.append(element('tr', {}, element('td', {}, element('code', {}, name)), element('td', { class: 'soft' }, typeOf(schema))));
    }
    return table;
  }

  function fieldOf(parameter) {
    let input;
    if (parameter.schema && parameter.schema.enum) {
      input = element('select', { name: parameter.name }, element('option', { value: '' }, ''));
      for (const value of parameter.schema.enum) input.append(element('option', { value: String(value) }, String(value)));
    } else {
      input = element('input', { name: parameter.name, spellcheck: 'false' });
      if (parameter.schema && parameter.schema.default !== undefined) input.placeholder = String(parameter.schema.default);
    }
    input.dataset.place = parameter.in;
    return element('label', {}, parameter.name, input);
  }

  function urlOf(path, form) {
    const query = new URLSearchParams();
    let url = path;
    for (const input of form.querySelectorAll('[name]')) {
      if (input.dataset.place === 'path') url = url.replace(`{${input.name}}`, encodeURIComponent(input.value));
      else if (input.value !== '') query.append(input.name, input.value);
    }
    const behind = query.toString();
    return behind ? `${url}?${behind}` : url;
  }

  async function ask(path, form, result) {
    const url = urlOf(path, form);
    result.hidden = false;
    result.textContent = `GET ${url}`;
    try {
      const began = performance.now();
      const response = await fetch(url, { headers: { ...headers(), Accept: '*/*' }, cache: 'no-store' });
      const text = await response.text();
      const took = (performance.now() - began).toFixed(1);
      let shown = text;
      if ((response.headers.get('Content-Type') || '').includes('json')) {
        try { shown = JSON.stringify(JSON.parse(text), null, 2); } catch { shown = text; }
      }
      const snapshot = response.headers.get('Tarn-Snapshot');
      result.textContent = `GET ${url}\n${response.status}, ${took} ms${snapshot ? `, snapshot ${snapshot}` : ''}\n\n${shown}`;
    } catch (error) {
      result.textContent = `GET ${url}\nThe server does not answer.`;
    }
  }

  function tryForm(path, parameters) {
    const result = element('pre', { hidden: '', 'aria-live': 'polite' });
    const form = element('form', { autocomplete: 'off' }, element('div', { class: 'fields' }, ...parameters.map(fieldOf)),
      element('button', {}, 'Ask'));
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      ask(path, form, result);
    });
    return [form, result];
  }

  function operationOf(path, method, operation) {
    const parameters = operation.parameters || [];
    const ok = operation.responses && operation.responses['200'];
    const json = ok && ok.content && ok.content['application/json'];
    const columns = columnsOf(json && json.schema);
    const inside = element('div', { class: 'inside' });
    if (parameters.length) inside.append(parameterTable(parameters));
    if (columns) inside.append(element('h2', {}, 'Columns'), columnTable(columns));
    if (ok && ok.content) inside.append(element('p', { class: 'soft' }, `Answers as ${Object.keys(ok.content).join(', ')}.`));
    if (method === 'get') inside.append(...tryForm(path, parameters));
    return element('details', { id: operation.operationId },
      element('summary', {}, element('span', { class: 'method' }, method.toUpperCase()), element('span', { class: 'path' }, path),
        element('span', { class: 'soft' }, operation.summary || '')), inside);
  }

  function show(api) {
    const main = $('operations');
    $('title').textContent = api.info.title;
    $('about').textContent = api.info.description || '';
    main.replaceChildren();
    for (const tag of api.tags || []) {
      const found = [];
      for (const [path, methods] of Object.entries(api.paths)) {
        for (const [method, operation] of Object.entries(methods)) {
          if ((operation.tags || []).includes(tag.name)) found.push(operationOf(path, method, operation));
        }
      }
      if (found.length) main.append(element('h2', {}, tag.name), element('p', { class: 'soft' }, tag.description || ''), ...found);
    }
  }

  async function load() {
    $('wrong').textContent = '';
    try {
      const response = await fetch('/openapi.json', { headers: headers() });
      const body = await response.json();
      if (response.ok) show(body);
      else $('wrong').textContent = body.detail || body.title;
    } catch (error) {
      $('wrong').textContent = 'The server does not answer.';
    }
  }

  document.addEventListener('DOMContentLoaded', () => {
    $('token').value = sessionStorage.getItem(KEY) || '';
    $('sign-in').addEventListener('submit', (event) => {
      event.preventDefault();
      if ($('token').value) sessionStorage.setItem(KEY, $('token').value);
      else sessionStorage.removeItem(KEY);
      load();
    });
    load();
  });
})();

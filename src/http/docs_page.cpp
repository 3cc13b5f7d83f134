#include "http/docs_page.h"

#include "core/crypto.h"

namespace loquat::http {
namespace {

constexpr std::string_view style = R"css(
:root{color-scheme:light dark;--line:#8884;--soft:#8882;--accent:#2f7d4f}
body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:0 auto;padding:1.5rem}
h1{font-size:1.4rem;margin:0}h2{font-size:1.05rem;margin:2rem 0 .5rem}
code,pre,textarea,input{font:13px/1.45 ui-monospace,monospace}code,pre{overflow-wrap:anywhere}
header{display:flex;flex-wrap:wrap;gap:1rem;align-items:end;justify-content:space-between;border-bottom:1px solid var(--line);padding-bottom:1rem}
details.op{border:1px solid var(--line);border-radius:6px;margin:.4rem 0}
details.op>summary{cursor:pointer;padding:.5rem .75rem;display:flex;flex-wrap:wrap;gap:0 .75rem;align-items:baseline;list-style:none}
details.op>div{padding:0 .75rem .75rem;border-top:1px solid var(--line)}
.m{font-weight:700;min-width:4.2rem;color:var(--accent)}.m.delete{color:#b3362b}.m.post{color:#2060b0}.m.put,.m.patch{color:#9a6a00}
.s{opacity:.75;margin-left:auto;text-align:right}
pre{background:var(--soft);padding:.6rem;border-radius:6px;overflow:auto;max-height:24rem;white-space:pre-wrap}
label{display:block;margin:.5rem 0 .15rem}input,textarea{width:100%;box-sizing:border-box;padding:.4rem;border:1px solid var(--line);border-radius:5px;background:transparent;color:inherit}
textarea{min-height:8rem}button{padding:.4rem 1rem;border:0;border-radius:5px;background:var(--accent);color:#fff;font:inherit;cursor:pointer;margin-top:.6rem}
button:focus-visible,summary:focus-visible{outline:2px solid var(--accent);outline-offset:2px}
.lock{font-size:.85em;opacity:.7}
)css";

constexpr std::string_view body = R"html(
<header><div><h1 id="title">API</h1><div id="version"></div></div>
<div><label for="token">Bearer token, for this tab only</label><input id="token" type="password" autocomplete="off" size="36"></div></header>
<main id="operations" aria-live="polite"><p>Loading&hellip;</p></main>
)html";

// Texts of the description reach the page as text nodes only.
constexpr std::string_view script = R"js(
'use strict';
const make = (tag, props = {}, ...children) => {
  const element = Object.assign(document.createElement(tag), props);
  element.append(...children);
  return element;
};
const base = location.pathname.replace(/\/docs\/?$/, '');
let spec = {};

function resolve(schema, depth) {
  if (!schema || typeof schema !== 'object') return schema;
  if (Array.isArray(schema)) return schema.map(s => resolve(s, depth));
  if (schema.$ref) {
    if (depth <= 0) return { $ref: schema.$ref };
    const target = schema.$ref.replace(/^#\//, '').split('/').reduce((o, k) => o && o[k], spec);
    return resolve(target, depth - 1);
  }
  return Object.fromEntries(Object.entries(schema).map(([k, v]) => [k, resolve(v, depth)]));
}

function example(schema) {
  if (!schema || typeof schema !== 'object') return null;
  if ('default' in schema) return schema.default;
  if ('const' in schema) return schema.const;
  if (schema.enum) return schema.enum[0];
  const choices = schema.anyOf || schema.oneOf;
  if (choices) return example(choices[0]);
  const type = Array.isArray(schema.type) ? schema.type[0] : schema.type;
  if (type === 'object') {
    return Object.fromEntries(Object.entries(schema.properties || {}).map(([k, v]) => [k, example(v)]));
  }
  if (type === 'array') return schema.items && Object.keys(schema.items).length ? [example(schema.items)] : [];
  return { string: '', integer: 0, number: 0, boolean: false }[type] ?? null;
}

const showJson = value => make('pre', { textContent: JSON.stringify(value, null, 2) });

function responseList(operation) {
  const box = make('div');
  for (const [status, response] of Object.entries(operation.responses || {})) {
    const content = Object.entries(response.content || {});
    const line = make('details', {}, make('summary', { textContent: `${status} ${response.description || ''}` }));
    content.forEach(([type, media]) => line.append(make('div', { textContent: type }), showJson(resolve(media.schema, 4))));
    box.append(line);
  }
  return box;
}

function bodyField(operation) {
  const content = Object.entries((operation.requestBody || {}).content || {})[0];
  if (!content) return null;
  const [type, media] = content;
  const schema = resolve(media.schema, 4);
  if (type === 'multipart/form-data') return { type, input: make('input', { type: 'file' }), schema };
  const input = make('textarea', { spellcheck: false, value: JSON.stringify(example(schema), null, 2) });
  return { type, input, schema };
}

async function send(method, path, parameters, body, output) {
  let url = base + path;
  const query = new URLSearchParams();
  const headers = {};
  for (const { spec: p, input } of parameters) {
    if (p.in === 'path') url = url.replace(`{${p.name}}`, encodeURIComponent(input.value));
    else if (input.value !== '' && p.in === 'query') query.append(p.name, input.value);
    else if (input.value !== '' && p.in === 'header') headers[p.name] = input.value;
  }
  if ([...query].length) url += '?' + query;
  const token = document.getElementById('token').value;
  if (token) headers.Authorization = 'Bearer ' + token;
  const options = { method: method.toUpperCase(), headers };
  if (body && body.type === 'multipart/form-data') {
    options.body = new FormData();
    if (body.input.files[0]) options.body.append('file', body.input.files[0]);
  } else if (body) {
    headers['Content-Type'] = body.type;
    options.body = body.input.value;
  }
  output.textContent = '…';
  try {
    const response = await fetch(url, options);
    let text = await response.text();
    try { text = JSON.stringify(JSON.parse(text), null, 2); } catch { /* shown as it is */ }
    output.textContent = `${response.status} ${response.statusText}\n${url}\n\n${text}`;
  } catch (error) {
    output.textContent = String(error);
  }
}

function fill(panel, method, path, operation) {
  const parameters = (operation.parameters || []).map(p => {
    const input = make('input', { id: `${operation.operationId}-${p.name}`, required: !!p.required });
    panel.append(make('label', { htmlFor: input.id, textContent: `${p.name} (${p.in}${p.required ? ', required' : ''})` }), input);
    if (p.description) panel.append(make('small', { textContent: p.description }));
    return { spec: p, input };
  });
  const body = bodyField(operation);
  if (body) {
    body.input.id = operation.operationId + '-body';
    panel.append(make('label', { htmlFor: body.input.id, textContent: `Body (${body.type})` }), body.input,
      make('details', {}, make('summary', { textContent: 'Schema' }), showJson(body.schema)));
  }
  const output = make('pre', { hidden: true });
  const button = make('button', { type: 'button', textContent: 'Send' });
  button.addEventListener('click', () => { output.hidden = false; send(method, path, parameters, body, output); });
  panel.append(button, output, make('h3', { textContent: 'Responses' }), responseList(operation));
}

function row(method, path, operation) {
  const panel = make('div');
  const line = make('details', { className: 'op' },
    make('summary', {}, make('span', { className: 'm ' + method, textContent: method.toUpperCase() }), make('code', { textContent: path }),
      make('span', { className: 's', textContent: operation.summary || '' }),
      make('span', { className: 'lock', textContent: operation.security ? 'token' : '' })), panel);
  line.addEventListener('toggle', () => { if (line.open && !panel.firstChild) fill(panel, method, path, operation); });
  return line;
}

async function load() {
  const main = document.getElementById('operations');
  try {
    spec = await (await fetch(base + '/openapi.json')).json();
  } catch (error) {
    main.textContent = 'The description could not be read: ' + error;
    return;
  }
  document.title = document.getElementById('title').textContent = spec.info.title;
  document.getElementById('version').textContent = 'Version ' + spec.info.version;
  const groups = new Map();
  for (const [path, item] of Object.entries(spec.paths)) {
    for (const [method, operation] of Object.entries(item)) {
      const tag = (operation.tags || ['other'])[0];
      if (!groups.has(tag)) groups.set(tag, []);
      groups.get(tag).push(row(method, path, operation));
    }
  }
  main.replaceChildren(...[...groups].map(([tag, rows]) => make('section', {}, make('h2', { textContent: tag }), ...rows)));
}
load();
)js";

}  // namespace

std::string make_page_policy(std::string_view code) {
  std::string policy =
      "default-src 'none'; style-src 'unsafe-inline'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
  if (code.empty()) return policy;
  const auto digest = crypto::sha256(code);
  policy += "; script-src 'sha256-";
  policy += crypto::base64_encode({reinterpret_cast<const char*>(digest.data()), digest.size()});
  policy += "'";
  return policy;
}

std::string make_page(std::string_view title, std::string_view css, std::string_view content, std::string_view code) {
  std::string page =
      "<!doctype html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n<title>";
  page += title;
  page += "</title>\n<style>";
  page += css;
  page += "</style></head>\n<body>";
  page += content;
  if (!code.empty()) {
    page += "<script>";
    page += code;
    page += "</script>";
  }
  page += "</body></html>\n";
  return page;
}

Response make_docs_page() {
  static const std::string page = make_page("API", style, body, script);
  static const std::string policy = make_page_policy(script);
  Response response = Response::html(page);
  response.headers.add("Content-Security-Policy", policy);
  return response;
}

}  // namespace loquat::http

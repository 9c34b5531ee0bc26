// Serves one function to the proxy over a Unix socket: FUNC_HANDLER of the file
// MOD_NAME.js in the volume KUBELESS_INSTALL_VOLUME. Many calls run at once.
'use strict';

const { AsyncLocalStorage } = require('node:async_hooks');
const { isUtf8 } = require('node:buffer');
const fs = require('node:fs');
const http = require('node:http');
const path = require('node:path');
const querystring = require('node:querystring');
const { pathToFileURL } = require('node:url');
const { inspect, types } = require('node:util');

const TEXT = 'text/plain; charset=utf-8';
const HTML = 'text/html; charset=utf-8';
const BYTES = 'application/octet-stream';
const JSON_TYPE = 'application/json';
const SHORT_TYPES = {
  css: 'text/css', csv: 'text/csv', html: HTML, js: 'text/javascript', json: JSON_TYPE, text: TEXT, txt: TEXT,
  xml: 'application/xml',
};

// Request is what functions know from Express, on top of Node's own.
class Request extends http.IncomingMessage {
  get(name) { return this.headers[name.toLowerCase()]; }
  header(name) { return this.get(name); }
}

// Made when first asked for. Assignable, because middleware assigns them.
const lazy = {
  path: (request) => request.url.split('?', 1)[0],
  query: (request) => querystring.parse(request.url.slice(request.path.length + 1)),
  params: (request) => ({ 0: request.path }),
  hostname: (request) => request.get('host')?.replace(/:\d+$/, ''),
  protocol: (request) => request.get('x-forwarded-proto')?.split(',', 1)[0] ?? 'http',
  ip: (request) => request.get('x-forwarded-for')?.split(',', 1)[0],
  signal: (request) => {
    const controller = new AbortController();
    const abort = () => request.res.writableEnded || controller.abort();
    if (request.res.destroyed) abort(); else request.res.once('close', abort);
    return controller.signal;
  },
};
for (const [name, make] of Object.entries(lazy)) {
  Object.defineProperty(Request.prototype, name, {
    configurable: true,
    get() { return (this[name] = make(this)); },
    set(value) { Object.defineProperty(this, name, { value, configurable: true, enumerable: true, writable: true }); },
  });
}

class Response extends http.ServerResponse {
  status(code) { this.statusCode = code; return this; }
  get(name) { return this.getHeader(name); }
  header(name, value) { return this.set(name, value); }
  set(name, value) {
    const headers = typeof name === 'object' ? Object.entries(name) : [[name, value]];
    for (const [key, content] of headers) this.setHeader(key, content);
    return this;
  }
  type(type) { return this.set('Content-Type', type.includes('/') ? type : SHORT_TYPES[type] ?? BYTES); }
  json(value) { return this.answer(value, JSON_TYPE); }
  send(body) { return body === undefined || body === null ? this.end() : this.answer(body, HTML); }
  sendStatus(code) { return this.status(code).answer(http.STATUS_CODES[code] ?? String(code), TEXT); }
  redirect(status, url) {
    return url === undefined ? this.redirect(302, status) : this.status(status).set('Location', url).end();
  }

  // answer ends the response with a value: bytes as they are, a string as
  // stringType, unless that is JSON, and everything else as JSON.
  answer(value, stringType) {
    let body = value;
    let type = stringType;
    if (types.isUint8Array(value)) {
      type = BYTES;
    } else if (typeof value !== 'string' || stringType === JSON_TYPE) {
      body = JSON.stringify(value);
      type = JSON_TYPE;
      if (body === undefined) throw new TypeError(`a ${typeof value} cannot be written as JSON`);
    }
    if (!this.hasHeader('Content-Type')) this.setHeader('Content-Type', type);
    return this.end(body);
  }
}

// read returns the whole body, and puts it back for functions that read the
// request as a stream.
function read(request) {
  const { headers } = request;
  if (!(headers['content-length'] > 0 || 'transfer-encoding' in headers)) return Buffer.alloc(0);
  return new Promise((resolve, reject) => {
    const chunks = [];
    const gone = () => reject(new Error('it breaks off'));
    request.once('close', gone);
    request.on('readable', function take() {
      for (let chunk; (chunk = request.read()) !== null;) chunks.push(chunk);
      if (!request.complete) return;
      request.off('readable', take).off('close', gone);
      const body = chunks.length === 1 ? chunks[0] : Buffer.concat(chunks);
      if (body.length > 0) request.unshift(body);
      resolve(body);
    });
  });
}

// decode turns a body into the event's data: JSON parsed, the rest text, or
// bytes if it is no text.
function decode(body, type = '') {
  if (body.length === 0) return '';
  const json = /^application\/json\s*(;|$)|^[^;]*\+json\s*(;|$)/i.test(type);
  const charset = /;\s*charset="?([^\s;"]+)/i.exec(type)?.[1] ?? 'utf-8';
  const unicode = /^utf-?8$/i.test(charset);
  if (unicode && !isUtf8(body)) {
    if (json) throw new Error('it is not UTF-8');
    return body;
  }
  const text = unicode ? body.toString() : new TextDecoder(charset).decode(body);
  return json ? JSON.parse(text) : text;
}

const context = {
  'function-name': process.env.FUNC_HANDLER,
  timeout: Number(process.env.FUNC_TIMEOUT || 180),
  runtime: process.env.FUNC_RUNTIME,
  'memory-limit': process.env.FUNC_MEMORY_LIMIT,
};
const current = new AsyncLocalStorage(); // the call that code runs for
const calls = new Map(); // by the proxy's ID, until nothing of the call runs

async function serve(handler, request, response) {
  const call = { response, settled: false };
  const id = request.headers['x-func-call-id'];
  calls.set(id, call);
  try {
    let data;
    try {
      request.body = await read(request);
      data = decode(request.body, request.headers['content-type']);
    } catch (error) {
      response.status(400).answer(`the body cannot be read: ${error.message}\n`, TEXT);
      return;
    }
    const event = {
      data,
      'event-id': request.headers['event-id'],
      'event-type': request.headers['event-type'],
      'event-time': request.headers['event-time'],
      'event-namespace': request.headers['event-namespace'],
      extensions: { request, response },
    };
    const result = await current.run(call, handler, event, { ...context });
    if (response.writableEnded || response.destroyed) return;
    if (result !== undefined) response.answer(result, TEXT);
    else if (response.listenerCount('unpipe') === 0) response.end(); // else a pipe ends it
  } catch (error) {
    fail(response, error);
  } finally {
    call.settled = true;
    if (response.writableEnded || response.destroyed) calls.delete(id);
    else response.once('close', () => setTimeout(() => calls.delete(id), 10_000).unref());
  }
}

// fail answers with an error, which the proxy logs; where it is too late for
// that, the log gets it from here.
function fail(response, error) {
  if (response.headersSent || response.destroyed) {
    if (error?.name !== 'AbortError') console.error(error);
    if (!response.writableEnded) response.destroy();
    return;
  }
  for (const name of response.getHeaderNames()) response.removeHeader(name);
  const type = typeof error?.name === 'string' && /^[\w.$-]+$/.test(error.name) ? error.name : 'Error';
  response.status(500).set({ 'X-Func-Error': type }).answer(inspect(error), TEXT);
}

// cancel says whether a call whose connection the proxy has closed stops
// within the time that the proxy waits.
function cancel(id, response) {
  const deadline = Date.now() + 800;
  const poll = setInterval(() => {
    const call = calls.get(id);
    const over = !call || (call.settled && call.response.writableEnded);
    if (!over && Date.now() < deadline) return;
    clearInterval(poll);
    response.status(over ? 204 : 409).end();
  }, 20);
}

// load returns the function. A module that does not load ends the process
// with Node's own report: file, line and trace.
async function load() {
  const volume = process.env.KUBELESS_INSTALL_VOLUME || '/kubeless';
  // A function without dependencies has an empty package.json, with which
  // Node.js loads no module of that folder.
  const manifest = path.join(volume, 'package.json');
  if (fs.existsSync(manifest) && fs.statSync(manifest).size === 0) fs.writeFileSync(manifest, '{}\n');

  const name = process.env.FUNC_HANDLER;
  const file = path.join(volume, `${process.env.MOD_NAME}.js`);
  const module = await import(pathToFileURL(file));
  const owner = [module, module.default].find((each) => typeof each?.[name] === 'function');
  if (owner) return (event, ctx) => owner[name](event, ctx);
  if (typeof module.default === 'function') return module.default;
  throw new Error(`${file} exports no function "${name}", only: ${Object.keys(module.default ?? module).join(', ')}`);
}

load().then((handler) => {
  // What fails in a callback, or in a promise that nobody awaits, fails the
  // call that it belongs to. What belongs to none leaves this process in an
  // unknown state.
  process.on('uncaughtException', (error) => {
    const call = current.getStore();
    if (call) return fail(call.response, error);
    console.error('outside of any call:', error);
    if (process.listenerCount('uncaughtException') === 1) process.exit(1);
  });
  const concurrency = process.env.FUNC_WORKER_CONCURRENCY || '256';
  // The proxy has limited time and size already.
  const unlimited = { keepAliveTimeout: 0, headersTimeout: 0, requestTimeout: 0, maxHeaderSize: 1 << 20 };
  http.createServer({ IncomingMessage: Request, ServerResponse: Response, ...unlimited }, (request, response) => {
    response.on('error', () => {}); // writing after the caller has left
    request.originalUrl = request.url;
    request.res = response;
    if (request.url === '/_health') response.set({ 'X-Func-Concurrency': concurrency, 'X-Func-Cancel': '1' }).end();
    else if (request.url === '/_cancel') cancel(request.headers['x-func-call-id'], response);
    else serve(handler, request, response);
  }).listen(process.env.FUNC_SOCKET);
});

// Serves one function to the proxy over a Unix socket: FUNC_HANDLER of the file
// MOD_NAME.js in the volume KUBELESS_INSTALL_VOLUME. Many calls run at once.
'use strict';

const { AsyncLocalStorage } = require('node:async_hooks');
const { isUtf8 } = require('node:buffer');
const fs = require('node:fs');
const http = require('node:http');
const net = require('node:net');
const path = require('node:path');
const { pathToFileURL } = require('node:url');
const { inspect } = require('node:util');

const { Request, Response, TEXT, encode, once, setHeader } = require('./express.js');

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
const abilities = { 'X-Func-Concurrency': process.env.FUNC_WORKER_CONCURRENCY || '256', 'X-Func-Cancel': '1' };
const current = new AsyncLocalStorage(); // the call that code runs for
const calls = new Map(); // by the proxy's ID, until nothing of the call runs
const cancelled = new Set(); // IDs of calls that must not start any more

// unlimited, since the proxy has limited time and size already. This server has
// no port: connections are given to it.
const unlimited = { keepAliveTimeout: 0, headersTimeout: 0, requestTimeout: 0, maxHeaderSize: 1 << 20 };
const server = http.createServer({ IncomingMessage: Request, ServerResponse: Response, ...unlimited });

server.maxHeadersCount = 0; // or it drops those after the 2000th, the proxy's own among them

// adopt gives the server a connection, and what has come of a call.
function adopt(socket, bytes) {
  socket.removeAllListeners('data');
  server.emit('connection', socket);
  socket.emit('data', bytes);
}

// Call is a call, at first as the bytes that came: Node's request and response
// are more than half of a call's cost. When the function asks for them, Node's
// server gets the connection, for good, and makes both from these bytes.
class Call {
  constructor(socket, url, headers, bytes, body) {
    this.socket = socket;
    this.url = url;
    this.headers = headers;
    this.bytes = bytes;
    this.body = body;
    this.request = undefined;
    this.response = undefined;
    this.answered = false; // without the response
    this.settled = false; // the function has returned
  }

  get extensions() {
    if (!this.response) {
      // A call that has been answered must not reach the connection's next one.
      const socket = this.answered ? new net.Socket() : this.socket;
      socket.call = this;
      current.run(undefined, adopt, socket, this.bytes);
      this.request.body = this.body;
      if (this.body.length > 0) this.request.unshift(this.request.read()); // an unread body stops the connection
      if (this.answered || socket.destroyed) this.response.destroy();
    }
    return { request: this.request, response: this.response };
  }

  // over says that there is an answer, or nobody to get one.
  get over() {
    const { response } = this;
    return response ? response.writableEnded || response.destroyed : this.answered || this.socket.destroyed;
  }

  answer(value, status, headers = {}) {
    const { response, socket } = this;
    if (response) {
      if (status) response.statusCode = status;
      for (const name in headers) setHeader.call(response, name, headers[name]); // not the function's
      return value === undefined ? response.end() : response.answer(value, TEXT);
    }
    const { body, type } = value === undefined ? { body: '' } : encode(value, TEXT);
    let head = `HTTP/1.1 ${status ?? 200} \r\nContent-Length: ${Buffer.byteLength(body)}\r\n`;
    if (type) head += `Content-Type: ${type}\r\n`;
    for (const name in headers) head += `${name}: ${headers[name]}\r\n`;
    this.answered = true;
    if (typeof body === 'string') return socket.write(`${head}\r\n${body}`);
    socket.cork(); // for one system call
    socket.write(`${head}\r\n`);
    socket.write(body);
    return socket.uncork();
  }
}

const CALL = Symbol('call');
const lazyExtensions = { ...once('extensions', (event) => event[CALL].extensions), enumerable: true };

async function serve(handler, call) {
  const { headers } = call;
  const id = headers['x-func-call-id'];
  if (cancelled.has(id)) return call.socket.destroy();
  calls.set(id, call);
  try {
    let data;
    try {
      call.body ??= call.request.body = await read(call.request);
      data = decode(call.body, headers['content-type']);
    } catch (error) {
      return call.answer(`the body cannot be read: ${error.message}\n`, 400);
    }
    const event = {
      data,
      'event-id': headers['event-id'],
      'event-type': headers['event-type'],
      'event-time': headers['event-time'],
      'event-namespace': headers['event-namespace'],
    };
    if (call.response) event.extensions = call.extensions;
    else Object.defineProperties(event, { [CALL]: { value: call }, extensions: lazyExtensions });
    const result = await current.run(call, handler, event, { ...context });
    if (call.over) return undefined;
    const piped = call.response?.listenerCount('unpipe') > 0; // then the pipe ends the response
    return result === undefined && piped ? undefined : call.answer(result);
  } catch (error) {
    return fail(call, error);
  } finally {
    call.settled = true;
    if (call.over) calls.delete(id);
    else call.response.once('close', () => setTimeout(() => calls.delete(id), 10_000).unref());
  }
}

// fail answers with an error, which the proxy logs; where it is too late for
// that, the log gets it from here.
function fail(call, error) {
  const { response } = call;
  if (call.over || response?.headersSent) {
    if (error?.name !== 'AbortError') console.error(error);
    if (response && !response.writableEnded) response.destroy();
    return;
  }
  for (const name of response?.getHeaderNames() ?? []) response.removeHeader(name);
  if (response) response.statusMessage = undefined;
  const type = typeof error?.name === 'string' && /^[\w.$-]+$/.test(error.name) ? error.name : 'Error';
  call.answer(inspect(error), 500, { 'X-Func-Error': type });
}

// cancel says whether a call whose connection the proxy has closed stops
// within the time that the proxy waits.
function cancel(request) {
  const id = request.headers['x-func-call-id'];
  if (id) cancelled.add(id);
  setTimeout(() => cancelled.delete(id), 60_000).unref();
  const deadline = Date.now() + 800;
  const poll = setInterval(() => {
    const call = calls.get(id);
    const stopped = !call || (call.settled && (call.response?.writableEnded ?? true));
    if (!stopped && Date.now() < deadline) return;
    clearInterval(poll);
    request.answer(undefined, stopped ? 200 : 409);
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

// HEADERS are those that the worker itself needs.
const HEADERS = /\r\n(content-(?:length|type)|event-(?:id|namespace|time|type)|transfer-encoding|x-func-call-id):[ \t]*([^\r]*)/gi;

// parse reads a call, or returns undefined if it is not of the usual form.
function parse(socket, bytes) {
  const text = bytes.toString('latin1', 0, 8192);
  const end = text.indexOf('\r\n\r\n');
  if (end < 0 || text.startsWith('HEAD ')) return undefined;
  const headers = {};
  for (const [, name, value] of text.slice(0, end).matchAll(HEADERS)) headers[name.toLowerCase()] ??= value;
  if ('transfer-encoding' in headers || !/^\d{1,15}$/.test(headers['content-length'] ?? '0')) return undefined;
  const url = text.slice(text.indexOf(' ') + 1, text.indexOf(' HTTP/'));
  return new Call(socket, url, headers, bytes, bytes.subarray(end + 4));
}

load().then((handler) => {
  // What fails in a callback, or in a promise that nobody awaits, fails the
  // call that it belongs to. What belongs to none leaves this process in an
  // unknown state.
  process.on('uncaughtException', (error) => {
    const call = current.getStore();
    if (call) return fail(call, error);
    console.error('outside of any call:', error);
    if (process.listenerCount('uncaughtException') === 1) process.exit(1);
  });

  const dispatch = (call) => {
    if (call.url === '/_health') call.answer(undefined, 200, abilities);
    else if (call.url === '/_cancel') cancel(call);
    else serve(handler, call);
  };
  server.on('request', (request, response) => {
    response.on('error', () => {}); // writing after the client has gone
    request.originalUrl = request.url;
    request.res = response;
    const { socket } = request;
    const known = socket.call;
    socket.call = undefined;
    const call = known ?? new Call(socket, request.url, request.headers);
    call.request = request;
    call.response = response;
    if (!known) dispatch(call);
  });
  net.createServer((socket) => {
    let chunks = []; // of a call that is not all there
    let missing = 0; // bytes
    socket.on('error', () => {}); // as above
    socket.on('data', (chunk) => {
      chunks.push(chunk);
      missing -= chunk.length;
      if (missing > 0) return;
      const bytes = chunks.length === 1 ? chunk : Buffer.concat(chunks);
      const call = parse(socket, bytes);
      missing = call ? (call.headers['content-length'] ?? 0) - call.body.length : 0;
      if (missing > 0) return;
      chunks = [];
      if (call && missing === 0) dispatch(call);
      else adopt(socket, bytes);
    });
  }).listen(process.env.FUNC_SOCKET);
});

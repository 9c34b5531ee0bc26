// What functions see as event.extensions.request and response: Node's own, with
// what Express 4 adds to them (https://expressjs.com/en/4x/api.html), but for
// what belongs to an application: views, signed cookies, parsers, routers.
'use strict';

const fs = require('node:fs');
const http = require('node:http');
const path = require('node:path');
const { inspect, types } = require('node:util');
const { isType, parseQuery, prefer, ranges, setCookie, typeOf } = require('./negotiate.js');

const TEXT = 'text/plain; charset=utf-8';
const HTML = 'text/html; charset=utf-8';
const BYTES = 'application/octet-stream';
const JSON_TYPE = 'application/json';

class Request extends http.IncomingMessage {
  get(name) { return this.headers[/^referrer$/i.test(name) ? 'referer' : name.toLowerCase()]; }
  header(name) { return this.get(name); }
  is(...types) { return 'content-length' in this.headers || 'transfer-encoding' in this.headers ? isType(this.get('content-type'), types.flat()) : null; }
  accepts(...types) { return prefer(this.get('accept'), 'type', types.flat(), typeOf); }
  acceptsCharsets(...charsets) { return prefer(this.get('accept-charset'), 'token', charsets.flat()); }
  acceptsEncodings(...codings) { return prefer(this.get('accept-encoding') ?? 'identity', 'token', codings.flat(), undefined, ['identity']); }
  acceptsLanguages(...languages) { return prefer(this.get('accept-language'), 'language', languages.flat()); }
  range(size) { return this.headers.range === undefined ? undefined : ranges(this.headers.range, size); }
  param(name, otherwise) { return this.params[name] ?? this.query[name] ?? otherwise; }
}
for (const name of ['Charset', 'Encoding', 'Language']) Request.prototype[`accepts${name}`] = Request.prototype[`accepts${name}s`];

// once describes a property that is made when it is first read. Assignable,
// because middleware assigns such ones.
function once(name, make) {
  return {
    configurable: true,
    get() { return (this[name] = make(this)); },
    set(value) { Object.defineProperty(this, name, { value, configurable: true, enumerable: true, writable: true }); },
  };
}

const forwarded = (request) => request.get('x-forwarded-for')?.split(',').map((address) => address.trim()) ?? [];
const lazy = {
  path: (request) => request.url.split('?', 1)[0],
  query: (request) => parseQuery(request.url.slice(request.path.length + 1)),
  params: (request) => ({ 0: request.path }),
  hostname: (request) => (request.get('x-forwarded-host')?.split(',', 1)[0].trim() ?? request.get('host'))?.replace(/:\d+$/, ''),
  host: (request) => request.hostname, // as Express 4 has it
  subdomains: (request) => (/^[\d.]*$|:/.test(request.hostname ?? '') ? [] : request.hostname.split('.').reverse().slice(2)),
  protocol: (request) => request.get('x-forwarded-proto')?.split(',', 1)[0].trim() ?? 'http',
  secure: (request) => request.protocol === 'https',
  ip: (request) => forwarded(request)[0],
  ips: forwarded,
  xhr: (request) => /^xmlhttprequest$/i.test(request.get('x-requested-with')),
  baseUrl: () => '',
  signal: (request) => {
    const controller = new AbortController();
    const abort = () => request.res.writableEnded || controller.abort();
    if (request.res.destroyed) abort(); else request.res.once('close', abort);
    return controller.signal;
  },
};
for (const [name, make] of Object.entries(lazy)) Object.defineProperty(Request.prototype, name, once(name, make));

// Whether the client has this very answer (RFC 9110, 13.2.2).
Object.defineProperty(Request.prototype, 'fresh', {
  configurable: true,
  get() {
    const { res: { statusCode }, headers } = this;
    if (!['GET', 'HEAD'].includes(this.method) || !((statusCode >= 200 && statusCode < 300) || statusCode === 304)) return false;
    if (/(?:^|,)\s*no-cache\s*(?:,|$)/.test(headers['cache-control'])) return false;
    if (headers['if-none-match'] !== undefined) {
      const bare = (tag) => tag.trim().replace(/^W\//, '');
      const etag = this.res.get('ETag');
      return headers['if-none-match'].split(',').some((tag) => tag.trim() === '*' || (etag !== undefined && bare(tag) === bare(etag)));
    }
    return Date.parse(this.res.get('Last-Modified')) <= Date.parse(headers['if-modified-since']);
  },
});
Object.defineProperty(Request.prototype, 'stale', { configurable: true, get() { return !this.fresh; } });

// NOT_THE_FUNCTIONS are headers of responses that say what the connection does,
// or what the worker tells the proxy: a function's own, passed on from another
// server, say, are left out.
const NOT_THE_FUNCTIONS = /^(?:connection|content-length|date|keep-alive|proxy-connection|trailer|transfer-encoding|upgrade|x-func-.*)$/is;
const NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const VALUE = /^[\t\x20-\x7e]*$/;

// own says whether a header of the function's is sent; an error if it cannot be.
function own(name, value) {
  if (NOT_THE_FUNCTIONS.test(name)) return false;
  if (NAME.test(name) && [value].flat().every((each) => VALUE.test(each))) return true;
  throw new TypeError(`response header ${inspect(name)} is not one line of ASCII: ${inspect(value)}`);
}

// guards replace what Node's response has. They are the object's own, because
// Express gives responses another prototype.
const { appendHeader, removeHeader, setHeader, writeEarlyHints, writeHead } = http.ServerResponse.prototype;
const guards = {
  setHeader(name, value) { return own(name, value) ? setHeader.call(this, name, value) : this; },
  appendHeader(name, value) { return own(name, value) ? appendHeader.call(this, name, value) : this; },
  // Node takes the removal of what it would set itself for a wish to do without.
  removeHeader(name) { if (!NOT_THE_FUNCTIONS.test(name)) removeHeader.call(this, name); },
  writeHead(status, reason, headers) {
    if (typeof reason === 'string') this.statusMessage = reason; else headers = reason ?? headers;
    if (Array.isArray(headers)) {
      const names = headers.filter((_, index) => index % 2 === 0);
      for (const name of names) if (!this.headersSent) this.removeHeader(name);
      names.forEach((name, index) => this.appendHeader(name, headers[2 * index + 1]));
    } else {
      for (const name in headers) this.setHeader(name, headers[name]);
    }
    if (!(Number(status) >= 200 && Number(status) <= 599)) throw new RangeError(`the response's status is ${inspect(status)}, not from 200 to 599`);
    if (this.statusMessage !== undefined && !VALUE.test(this.statusMessage)) throw new TypeError('the response\'s statusMessage is not one line of ASCII');
    return writeHead.call(this, status);
  },
  writeEarlyHints(hints, sent) {
    return writeEarlyHints.call(this, Object.fromEntries(Object.entries(hints).filter(([name, value]) => own(name, value))), sent);
  },
};
for (const [name, value] of Object.entries(guards)) guards[name] = { value, configurable: true, writable: true };

class Response extends http.ServerResponse {
  constructor(...options) {
    super(...options);
    Object.defineProperties(this, guards);
    this.locals = {};
  }

  status(code) { this.statusCode = code; return this; }
  get(name) { return this.getHeader(name); }
  header(name, value) { return this.set(name, value); }
  set(name, value) {
    const headers = typeof name === 'object' ? Object.entries(name) : [[name, value]];
    for (const [key, content] of headers) this.setHeader(key, Array.isArray(content) ? content.map(String) : String(content));
    return this;
  }
  append(name, value) { return this.set(name, [this.get(name) ?? [], value].flat()); }
  vary(names) {
    const list = (this.get('Vary') ?? '').split(',').concat(names).map((name) => name.trim()).filter(Boolean);
    return this.set('Vary', list.filter((name, index) => list.findIndex((other) => other.toLowerCase() === name.toLowerCase()) === index).join(', '));
  }
  links(links) {
    const list = Object.entries(links).map(([rel, url]) => `<${url}>; rel="${rel}"`);
    return this.set('Link', [this.get('Link') ?? [], list].flat().join(', '));
  }
  location(url) { return this.set('Location', encodeUrl(url === 'back' ? this.req.get('Referrer') ?? '/' : String(url))); }
  cookie(name, value, options = {}) {
    if (options.signed) throw new Error('signed cookies need a secret: sign the value, or use cookie-signature');
    return this.append('Set-Cookie', setCookie(name, value, options));
  }
  clearCookie(name, options) { return this.cookie(name, '', { ...options, maxAge: undefined, expires: new Date(1) }); }
  type(type) {
    const found = typeOf(type) ?? BYTES;
    return this.set('Content-Type', /^text\/[^;]*$/.test(found) ? `${found}; charset=utf-8` : found);
  }
  contentType(type) { return this.type(type); }
  attachment(name) {
    if (name === undefined) return this.set('Content-Disposition', 'attachment');
    const base = path.basename(name);
    const quoted = base.replace(/[^ -~]/g, '?').replace(/["\\]/g, '\\$&');
    const extended = quoted === base ? '' : `; filename*=UTF-8''${encodeURIComponent(base).replace(/['()*]/g, (one) => `%${one.charCodeAt(0).toString(16)}`)}`;
    if (path.extname(base)) this.type(path.extname(base));
    return this.set('Content-Disposition', `attachment; filename="${quoted}"${extended}`);
  }
  format(choices) {
    const names = Object.keys(choices).filter((name) => name !== 'default');
    const best = names.length > 0 && this.req.accepts(names);
    this.vary('Accept');
    if (best) this.type(best);
    else if (!choices.default) return this.sendStatus(406);
    (best ? choices[best] : choices.default)(this.req, this, () => {});
    return this;
  }

  json(value) {
    if (!this.hasHeader('Content-Type')) this.set('Content-Type', `${JSON_TYPE}; charset=utf-8`);
    return this.answer(value, JSON_TYPE);
  }
  jsonp(value) {
    const callback = [this.req.query.callback].flat()[0];
    if (typeof callback !== 'string' || callback === '') return this.json(value);
    const name = callback.replace(/[^\w$.[\]]/g, '');
    const text = JSON.stringify(value).replace(/\u2028/g, '\\u2028').replace(/\u2029/g, '\\u2029');
    this.set('X-Content-Type-Options', 'nosniff').type('js');
    return this.end(`/**/ typeof ${name} === 'function' && ${name}(${text});`);
  }
  send(body) {
    if (body === undefined || body === null) return this.end();
    return typeof body === 'string' || types.isUint8Array(body) ? this.answer(body, HTML) : this.json(body);
  }
  sendStatus(code) { return this.status(code).type('txt').answer(http.STATUS_CODES[code] ?? String(code), TEXT); }
  redirect(status, url) {
    if (typeof status !== 'number') return this.redirect(typeof url === 'number' ? url : 302, status);
    const to = this.status(status).location(url).get('Location');
    return this.type('txt').end(`${http.STATUS_CODES[status]}. Redirecting to ${to}`);
  }
  sendFile(name, options, done) {
    const callback = typeof options === 'function' ? options : done;
    const { root, headers = {} } = typeof options === 'object' ? options : {};
    if (!root && !path.isAbsolute(name)) throw new TypeError('path must be absolute or specify root to res.sendFile');
    const file = root ? path.join(root, path.join('/', name)) : name;
    const stat = fs.statSync(file);
    if (!stat.isFile()) throw Object.assign(new Error(`${file} is no file`), { code: 'EISDIR' });
    if (!this.hasHeader('Content-Type')) this.type(path.extname(file) || 'bin');
    this.set('Last-Modified', stat.mtime.toUTCString()).set(headers);
    if (this.req.fresh) { this.status(304).end(); return callback?.(); }
    if (callback) this.once('finish', () => callback());
    return fs.createReadStream(file).on('error', (error) => this.destroy(error)).pipe(this);
  }
  download(file, name, options, done) {
    const [base, ...rest] = typeof name === 'string' ? [name, options, done] : [file, name, options];
    this.attachment(base);
    return this.sendFile(path.resolve(file), ...rest.filter((each) => each !== undefined && each !== null));
  }

  answer(value, stringType) {
    const { body, type } = encode(value, stringType);
    if (!this.hasHeader('Content-Type')) this.setHeader('Content-Type', type);
    if (this.req.fresh) { this.statusCode = 304; return this.end(); }
    return this.end(body);
  }
}

// encodeUrl makes an address a header; what is encoded stays as it is.
function encodeUrl(url) {
  return encodeURI(url).replace(/%25([0-9a-f]{2})/gi, '%$1');
}

// encode makes a value the body of an answer: bytes as they are, a string as
// stringType, unless that is JSON, and everything else as JSON.
function encode(value, stringType) {
  if (types.isUint8Array(value)) return { body: value, type: BYTES };
  if (typeof value === 'string' && stringType !== JSON_TYPE) return { body: value, type: stringType };
  const body = JSON.stringify(value);
  if (body === undefined) throw new TypeError(`a ${typeof value} cannot be written as JSON`);
  return { body, type: JSON_TYPE };
}

module.exports = { Request, Response, TEXT, encode, once, setHeader };

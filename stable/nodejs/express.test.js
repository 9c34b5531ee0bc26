// What Express' documentation says of requests and responses, on a worker.
'use strict';

const assert = require('node:assert');
const { spawn } = require('node:child_process');
const fs = require('node:fs');
const http = require('node:http');
const os = require('node:os');
const path = require('node:path');
const { after, before, test } = require('node:test');
const { setTimeout: sleep } = require('node:timers/promises');

// The function evaluates what the header says, with req and res.
const FUNCTION = `
exports.handler = async ({ extensions: { request, response } }) => {
  const body = new Function('req', 'res', 'return (' + decodeURIComponent(request.get('event-type')) + ')');
  const result = await body(request, response);
  return result === response ? undefined : JSON.stringify({ result });
};
`;

let folder;
let socketPath;
let worker;

before(async () => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'express-'));
  socketPath = path.join(folder, '1.sock');
  fs.writeFileSync(path.join(folder, 'does.js'), FUNCTION);
  fs.writeFileSync(path.join(folder, 'a b.html'), '<p>file');
  const env = { PATH: process.env.PATH, KUBELESS_INSTALL_VOLUME: folder, MOD_NAME: 'does', FUNC_HANDLER: 'handler', FUNC_SOCKET: socketPath };
  worker = spawn(process.execPath, [path.join(__dirname, 'worker.js')], { env, stdio: 'inherit' });
  while (!fs.existsSync(socketPath)) await sleep(20);
});
after(() => {
  worker.kill();
  fs.rmSync(folder, { recursive: true });
});

function call(code, { headers, body, ...options } = {}) {
  return new Promise((resolve, reject) => {
    const request = http.request({ socketPath, path: '/', method: body === undefined ? 'GET' : 'POST', ...options,
      headers: { Host: 'example.org', 'Event-Type': encodeURIComponent(code), ...headers } });
    request.on('error', reject);
    request.on('response', async (response) => {
      let text = '';
      for await (const chunk of response) text += chunk;
      resolve({ status: response.statusCode, headers: response.headers, text });
    });
    request.end(body);
  });
}

async function value(code, options) { return JSON.parse((await call(code, options)).text).result; }

test('req.is', async () => {
  const html = { body: 'x', headers: { 'Content-Type': 'text/html; charset=utf-8' } };
  assert.deepEqual(await value("[req.is('html'), req.is('text/html'), req.is('text/*'), req.is('json'), req.is()]", html),
    ['html', 'text/html', 'text/html', false, 'text/html']);
  const json = { body: '{}', headers: { 'Content-Type': 'application/json' } };
  assert.deepEqual(await value("[req.is('json'), req.is('application/*'), req.is('html', 'json'), req.is(['html', 'xml']), req.is('*/*')]", json),
    ['json', 'application/json', 'json', false, 'application/json']);
  assert.equal(await value("req.is('+json')", { body: '{}', headers: { 'Content-Type': 'application/ld+json' } }), 'application/ld+json');
  const upload = { body: 'x', headers: { 'Content-Type': 'multipart/form-data; boundary=x' } };
  assert.deepEqual(await value("[req.is('multipart'), req.is('multipart/*'), req.is('multipart/form-data'), req.is('urlencoded')]", upload),
    ['multipart', 'multipart/form-data', 'multipart/form-data', false]);
  assert.equal(await value("req.is('html')"), null); // no body
});

test('negotiation', async () => {
  const accept = (text) => ({ headers: { Accept: text } });
  assert.deepEqual(await value("[req.accepts('html'), req.accepts('text/html'), req.accepts(['json', 'text']), req.accepts('application/json')]", accept('text/*, application/json')),
    ['html', 'text/html', 'json', 'application/json']);
  assert.deepEqual(await value("[req.accepts('image/png'), req.accepts('png')]", accept('text/*, application/json')), [false, false]);
  assert.equal(await value("req.accepts('html', 'json')", accept('text/*;q=.5, application/json')), 'json');
  assert.equal(await value("req.accepts('html', 'json')", accept('text/html;q=0, */*;q=0.1')), 'json');
  assert.deepEqual(await value("[req.accepts('json', 'html'), req.accepts()]"), ['json', ['*/*']]);
  assert.deepEqual(await value("[req.acceptsLanguages('de', 'en'), req.acceptsLanguages('fr'), req.acceptsLanguages()]", { headers: { 'Accept-Language': 'en;q=.8, de-AT' } }),
    ['de', false, ['de-AT', 'en']]);
  assert.deepEqual(await value("[req.acceptsEncodings('br', 'gzip'), req.acceptsEncodings('identity'), req.acceptsCharsets('utf-8')]", { headers: { 'Accept-Encoding': 'gzip' } }),
    ['gzip', 'identity', 'utf-8']);
});

test('the request', async () => {
  const headers = { Host: 'a.b.example.org:81', 'X-Forwarded-For': '10.0.0.1, 10.0.0.2', 'X-Forwarded-Proto': 'https', 'X-Requested-With': 'XMLHttpRequest',
    Referer: 'http://r/', Range: 'bytes=0-9,-5', Cookie: 'a=1' };
  assert.deepEqual(await value(`({ baseUrl: req.baseUrl, hostname: req.hostname, ip: req.ip, ips: req.ips, method: req.method, originalUrl: req.originalUrl,
    path: req.path, protocol: req.protocol, query: req.query, secure: req.secure, subdomains: req.subdomains, xhr: req.xhr, referrer: req.get('Referrer'),
    header: req.header('cookie'), param: req.param('q'), range: [req.range(100).type, ...req.range(100)], none: req.range(0), res: req.res === res, back: res.req === req,
    fresh: req.fresh, stale: req.stale, cookies: typeof req.cookies })`, { path: '/a%20b/c?q=1&r=2&r=3&order[by]=x&list[]=y&list[]=z&__proto__[a]=b', headers }), {
    baseUrl: '', hostname: 'a.b.example.org', ip: '10.0.0.1', ips: ['10.0.0.1', '10.0.0.2'], method: 'GET', originalUrl: '/a%20b/c?q=1&r=2&r=3&order[by]=x&list[]=y&list[]=z&__proto__[a]=b',
    path: '/a%20b/c', protocol: 'https', query: { q: '1', r: ['2', '3'], order: { by: 'x' }, list: ['y', 'z'] }, secure: true, subdomains: ['b', 'a'], xhr: true, referrer: 'http://r/',
    header: 'a=1', param: '1', range: ['bytes', { start: 0, end: 9 }, { start: 95, end: 99 }], none: -1, res: true, back: true, fresh: false, stale: true, cookies: 'undefined',
  });
});

test('the body as a stream', async () => {
  assert.equal(await value(`new Promise((resolve) => {
    const { Writable } = process.mainModule.require('stream');
    let text = '';
    req.pipe(new Writable({ write(chunk, _, next) { text += chunk; next(); }, final(next) { resolve(text); next(); } }));
  })`, { body: 'hello' }), 'hello');
});

test('answers', async () => {
  const cases = [
    ["res.send('<p>')", 200, 'text/html; charset=utf-8', '<p>'],
    ['res.send({ a: 1 })', 200, 'application/json; charset=utf-8', '{"a":1}'],
    ['res.send([1])', 200, 'application/json; charset=utf-8', '[1]'],
    ["res.send(Buffer.from('x'))", 200, 'application/octet-stream', 'x'],
    ['res.send(null)', 200, undefined, ''],
    ['res.json(null)', 200, 'application/json; charset=utf-8', 'null'],
    ["res.json('x')", 200, 'application/json; charset=utf-8', '"x"'],
    ["res.status(201).type('txt').send('x')", 201, 'text/plain; charset=utf-8', 'x'],
    ["res.type('.html').end('x')", 200, 'text/html; charset=utf-8', 'x'],
    ["res.contentType('image/png').end()", 200, 'image/png', ''],
    ['res.sendStatus(404)', 404, 'text/plain; charset=utf-8', 'Not Found'],
    ["res.redirect('/a b')", 302, 'text/plain; charset=utf-8', 'Found. Redirecting to /a%20b'],
    ["res.redirect(301, 'http://x/%20')", 301, 'text/plain; charset=utf-8', 'Moved Permanently. Redirecting to http://x/%20'],
    ["res.format({ text() { res.send('t'); }, html() { res.send('h'); } })", 200, 'text/plain; charset=utf-8', 't'],
    ["(req.headers.accept = 'image/png', res.format({ html() { res.send('h'); } }))", 406, 'text/plain; charset=utf-8', 'Not Acceptable'],
    ["(req.headers.accept = 'image/png', res.format({ html() {}, default() { res.send('d'); } }))", 200, 'text/html; charset=utf-8', 'd'],
    ['(req.query.callback = "cb", res.jsonp({ a: 1 }))', 200, 'text/javascript; charset=utf-8', '/**/ typeof cb === \'function\' && cb({"a":1});'],
    ["(res.set('ETag', '\"1\"'), req.headers['if-none-match'] = 'W/\"1\"', res.send('x'))", 304, 'text/html; charset=utf-8', ''],
    [`res.sendFile(${JSON.stringify(path.join(folder, 'a b.html'))})`, 200, 'text/html; charset=utf-8', '<p>file'],
    [`res.sendFile('../../a b.html', { root: ${JSON.stringify(folder)} })`, 200, 'text/html; charset=utf-8', '<p>file'],
    ["res.sendFile('a.html')", 500, 'text/plain; charset=utf-8', /must be absolute/],
  ];
  for (const [code, status, type, text] of cases) {
    // What streams is awaited, as a function would.
    const got = await call(`(${code}, new Promise((done) => res.writableFinished || res.destroyed ? done(res) : res.on('close', () => done(res))))`, { headers: { Accept: '*/*' } });
    assert.deepEqual([code, got.status, got.headers['content-type']], [code, status, type]);
    if (text instanceof RegExp) assert.match(got.text, text); else assert.equal(got.text, text);
  }
});

test('headers', async () => {
  const cases = [
    ["res.set({ 'X-A': 1, 'X-B': ['b', 'c'] }).append('X-A', '2').header('X-D', 'd').end(res.get('X-D'))", { 'x-a': '1, 2', 'x-b': 'b, c', 'x-d': 'd' }],
    ["res.vary('Accept').vary(['accept', 'Origin']).end()", { vary: 'Accept, Origin' }],
    ["res.links({ next: 'http://n', last: 'http://l' }).end()", { link: '<http://n>; rel="next", <http://l>; rel="last"' }],
    ["res.location('/ü').end()", { location: '/%C3%BC' }],
    ["res.location('back').end()", { location: '/' }],
    ["res.attachment('path/grüße.png').end()", { 'content-disposition': 'attachment; filename="gr??e.png"; filename*=UTF-8\'\'gr%C3%BC%C3%9Fe.png', 'content-type': 'image/png' }],
    ["res.attachment().end()", { 'content-disposition': 'attachment' }],
    ["res.cookie('a', 'b c', { path: '/p', domain: 'x', secure: true, httpOnly: true, sameSite: 'lax', maxAge: 0 }).cookie('j', { a: 1 }).end()", {}],
  ];
  for (const [code, headers] of cases) {
    const got = await call(code);
    for (const [name, content] of Object.entries(headers)) assert.deepEqual([code, got.headers[name]], [code, content]);
  }
  const { headers: { 'set-cookie': cookies } } = await call(cases.at(-1)[0]);
  assert.match(cookies[0], /^a=b%20c; Max-Age=0; Domain=x; Path=\/p; Expires=[^;]* GMT; HttpOnly; Secure; SameSite=Lax$/);
  assert.equal(cookies[1], 'j=j%3A%7B%22a%22%3A1%7D; Path=/');
  assert.deepEqual((await call("res.clearCookie('a', { path: '/p' }).end()")).headers['set-cookie'], ['a=; Path=/p; Expires=Thu, 01 Jan 1970 00:00:00 GMT']);
  assert.equal((await call("res.cookie('a', 'b', { path: '/; HttpOnly' })")).status, 500);
  assert.equal((await call("res.cookie('a;b', 'b')")).status, 500);
});

// Tests of worker.js: node --test stable/nodejs
'use strict';

const assert = require('node:assert');
const { spawn } = require('node:child_process');
const fs = require('node:fs');
const http = require('node:http');
const net = require('node:net');
const os = require('node:os');
const path = require('node:path');
const { after, before, test } = require('node:test');
const { setTimeout: sleep } = require('node:timers/promises');

// The function does what the path says.
const FUNCTION = `
const { Readable } = require('node:stream');
const { setTimeout: sleep } = require('node:timers/promises');
let kept;
const ended = [];
const does = {
  hello: () => 'hello world',
  echo: (event) => event.data,
  plain: (event) => ({ ...event, extensions: Object.keys(event.extensions), names: Object.keys(event) }),
  replaced: (event) => { event.extensions = { response: 'own' }; return event.extensions; },
  same: (event) => event.extensions === event.extensions && event.extensions.request.res === event.extensions.response,
  nothing: () => {},
  bytes: () => Buffer.from([255, 0]),
  status: (event) => { event.extensions.response.status(418).set('X-Own', 'set').send('teapot'); },
  header: ({ extensions: { response } }) => { response.set('Content-Type', 'text/css'); return 'a{}'; },
  body: async ({ extensions: { request } }) => {
    let text = '';
    for await (const chunk of request) text += chunk;
    return [text.length, request.body.length, request.complete, request.readableEnded];
  },
  request: ({ extensions: { request } }) => ({ method: request.method, path: request.path, query: request.query,
    ip: request.ip, own: request.get('X-Own'), all: request.rawHeaders.length, url: request.originalUrl }),
  stream: async ({ extensions: { response } }) => { response.write('a'); await sleep(10); response.write('b'); },
  pipe: ({ extensions: { response } }) => { Readable.from(['p', 'i', 'p', 'e']).pipe(response); },
  large: async ({ extensions: { response } }) => {
    for (let part = 0; part < 64; part++) {
      if (!response.write('x'.repeat(65536))) await new Promise((resolve) => response.once('drain', resolve));
    }
    return undefined;
  },
  fail: () => { throw new TypeError('the cause'); },
  failLater: async ({ extensions: { response } }) => { response.set('X-Own', 'set'); await null; throw new TypeError('the cause'); },
  callback: () => new Promise(() => { setTimeout(() => { throw new RangeError('the cause'); }, 5); }),
  callbackWithResponse: ({ extensions }) => new Promise(() => { setTimeout(() => { throw new RangeError('the cause'); }, 5); }),
  keep: (event) => { kept = event; return 'kept'; },
  kept: async () => {
    const { request, response } = kept.extensions;
    response.on('error', () => {}).end('for another call');
    return [request.path, response.destroyed];
  },
  signal: async (event) => {
    const { request, response } = event.extensions;
    await sleep(10_000, undefined, { signal: request.signal }).catch(() => {});
    ended.push(response.destroyed);
    return 'late';
  },
  late: async (event) => { await sleep(200); ended.push(event.extensions.request.signal.aborted); return 'late'; },
  ended: () => ended.splice(0),
  busy: () => { for (const end = Date.now() + 300; Date.now() < end;); return 'busy'; },
  sleep: async () => { await sleep(10_000); },
};
exports.handler = (event, context) => does[event['event-type']](event, context);
`;

let folder;
let socketPath;
let worker;
let agent;

before(async () => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), 'worker-'));
  socketPath = path.join(folder, '1.sock');
  fs.writeFileSync(path.join(folder, 'does.js'), FUNCTION);
  const env = { PATH: process.env.PATH, KUBELESS_INSTALL_VOLUME: folder, MOD_NAME: 'does', FUNC_HANDLER: 'handler', FUNC_SOCKET: socketPath };
  worker = spawn(process.execPath, [path.join(__dirname, 'worker.js')], { env, stdio: 'inherit' });
  while (!fs.existsSync(socketPath)) await sleep(20);
});
after(() => {
  worker.kill();
  fs.rmSync(folder, { recursive: true });
});

// call asks over one kept connection, unless options name another agent.
function call(name, { body, ...options } = {}) {
  agent ??= new http.Agent({ keepAlive: true, maxSockets: 1 });
  const headers = { 'Event-Type': name, ...options.headers };
  return new Promise((resolve, reject) => {
    const request = http.request({ socketPath, agent, path: '/', method: body === undefined ? 'GET' : 'POST', ...options, headers });
    request.on('error', reject);
    request.on('response', async (response) => {
      const chunks = [];
      try {
        for await (const chunk of response) chunks.push(chunk);
      } catch (error) {
        reject(error);
      }
      resolve({ status: response.statusCode, headers: response.headers, body: Buffer.concat(chunks) });
    });
    request.end(body);
  });
}

async function text(name, options) { return (await call(name, options)).body.toString(); }
async function json(name, options) { return JSON.parse(await text(name, options)); }

// Every case runs on a new connection, and on one that Node's server has.
for (const adopted of [false, true]) {
  const each = (name, run) => test(`${name}${adopted ? ', by Node\'s server' : ''}`, async () => {
    agent?.destroy();
    agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    if (adopted) assert.equal(await text('same'), 'true');
    await run();
    assert.equal(await text('hello'), 'hello world'); // on the same connection
    agent.destroy();
  });

  each('answers', async () => {
    assert.equal(await text('echo', { body: 'grüße' }), 'grüße');
    assert.deepEqual((await call('bytes')).body, Buffer.from([255, 0]));
    assert.equal((await call('bytes')).headers['content-type'], 'application/octet-stream');
    assert.deepEqual(await json('echo', { body: '{"a":"ü"}', headers: { 'Content-Type': 'application/json' } }), { a: 'ü' });
    const empty = await call('nothing');
    assert.deepEqual([empty.status, empty.headers['content-length'], empty.body.length], [200, '0', 0]);
    const head = await call('echo', { method: 'HEAD' });
    assert.deepEqual([head.status, head.body.length], [200, 0]);
  });

  each('bodies', async () => {
    const large = 'y'.repeat(300_000);
    assert.equal(await text('echo', { body: large }), large);
    assert.equal(await text('echo', { body: large, headers: { 'Transfer-Encoding': 'chunked' } }), large);
    assert.deepEqual(await json('body', { body: large }), [300_000, 300_000, true, true]);
    assert.deepEqual(await json('body', { body: 'abc' }), [3, 3, true, true]);
    assert.deepEqual(await json('body'), [0, 0, true, true]);
    const bad = await call('echo', { body: '{', headers: { 'Content-Type': 'application/json' } });
    assert.deepEqual([bad.status, bad.headers['x-func-error']], [400, undefined]);
  });

  each('events', async () => {
    const event = await json('plain', { body: 'x', headers: { 'Event-Id': '7' } });
    assert.deepEqual(event, { data: 'x', 'event-id': '7', 'event-type': 'plain', extensions: ['request', 'response'],
      names: ['data', 'event-id', 'event-type', 'event-time', 'event-namespace', 'extensions'] });
    assert.deepEqual(await json('replaced'), { response: 'own' });
    assert.equal(await text('same'), 'true');
    const headers = { 'X-Own': 'set', 'X-Forwarded-For': '10.0.0.1' };
    const { all, ...request } = await json('request', { path: '/a/b?q=1', headers });
    assert.deepEqual(request, { method: 'GET', path: '/a/b', query: { q: '1' }, ip: '10.0.0.1', own: 'set', url: '/a/b?q=1' });
    assert.ok(all >= 6);
  });

  each('responses', async () => {
    const teapot = await call('status');
    assert.deepEqual([teapot.status, teapot.headers['x-own'], teapot.body.toString()], [418, 'set', 'teapot']);
    assert.equal((await call('header')).headers['content-type'], 'text/css');
    assert.equal(await text('stream'), 'ab');
    assert.equal(await text('pipe'), 'pipe');
    assert.equal((await call('large')).body.length, 64 * 65536);
  });

  each('failures', async () => {
    for (const [name, type] of [['fail', 'TypeError'], ['failLater', 'TypeError'], ['callback', 'RangeError'],
      ['callbackWithResponse', 'RangeError']]) {
      const failed = await call(name);
      assert.deepEqual([name, failed.status, failed.headers['x-func-error'], failed.headers['x-own']], [name, 500, type, undefined]);
      assert.match(failed.body.toString(), /the cause/);
    }
  });

  each('extensions asked for after the answer', async () => {
    assert.equal(await text('keep', { path: '/first' }), 'kept');
    assert.deepEqual(await json('kept'), ['/first', true]);
  });

  each('clients that leave', async () => {
    for (const name of ['signal', 'late']) {
      const leaving = net.connect(socketPath);
      leaving.write(`POST / HTTP/1.1\r\nHost: x\r\nEvent-Type: ${name}\r\nContent-Length: 200000\r\n\r\n${'z'.repeat(200_000)}`);
      await sleep(100);
      leaving.destroy();
      let ended = [];
      for (let tries = 0; ended.length === 0 && tries < 100; tries++) {
        await sleep(20);
        ended = await json('ended');
      }
      assert.deepEqual([name, ended], [name, [true]]);
    }
  });
}

// raw sends bytes on a connection of its own and returns what comes until it ends, or an answer is there.
function raw(bytes) {
  return new Promise((resolve) => {
    const socket = net.connect(socketPath, () => socket.write(bytes));
    socket.on('error', () => {});
    socket.on('data', (data) => { resolve(data.toString()); socket.destroy(); });
    socket.on('close', () => resolve(''));
  });
}
const cancel = (id) => raw(`POST /_cancel HTTP/1.1\r\nX-Func-Call-Id: ${id}\r\nContent-Length: 0\r\n\r\n`);
const begin = (name, id) => raw(`GET / HTTP/1.1\r\nEvent-Type: ${name}\r\nHost: x\r\nX-Func-Call-Id: ${id}\r\n\r\n`);

test('cancel', async () => {
  const running = net.connect(socketPath);
  running.write('GET / HTTP/1.1\r\nHost: x\r\nEvent-Type: sleep\r\nX-Func-Call-Id: 1\r\n\r\n');
  await sleep(100);
  running.destroy();
  assert.match(await cancel('1'), /^HTTP\/1.1 409 /); // it goes on
  assert.match(await cancel('2'), /^HTTP\/1.1 200 /); // not here yet
  assert.equal(await begin('hello', '2'), ''); // and never
  assert.match(await begin('hello', '3'), /^HTTP\/1.1 200 /);
});

test('health', async () => {
  assert.match(await raw('GET /_health HTTP/1.1\r\nHost: x\r\n\r\n'), /^HTTP\/1.1 200 [^]*X-Func-Concurrency: 256\r\nX-Func-Cancel: 1\r\n/);
});

'use strict';

const fs = require('node:fs');
const { setTimeout: sleep } = require('node:timers/promises');

const actions = {
  echo: ({ value }) => value,
  event: (_, event) => {
    const { 'event-id': id, 'event-type': type, 'event-time': time, 'event-namespace': namespace } = event;
    return { 'event-id': id, 'event-type': type, 'event-time': time, 'event-namespace': namespace };
  },
  context: (_, event, context) => context,
  request: (_, { extensions: { request } }) => ({
    method: request.method,
    path: request.path,
    header: request.get('X-Contract'),
  }),
  status: ({ code }, { extensions: { response } }) => {
    response.status(code).set('X-Contract', 'set').send('teapot');
  },
  header: ({ name, text }, { extensions: { response } }) => {
    response.set(name, text);
    return 'framed';
  },
  stream: async ({ parts, seconds }, { extensions: { response } }) => {
    for (let part = 0; part < parts; part++) {
      if (part > 0) await sleep(seconds * 1000);
      response.write(`part ${part}\n`);
    }
  },
  sleep: async ({ seconds }, { extensions: { request } }) => {
    await sleep(seconds * 1000, undefined, { signal: request.signal });
    return 'slept';
  },
  spin: () => {
    for (;;);
  },
  fail: () => {
    throw new Error('contract: failing on purpose');
  },
  exit: () => process.exit(3),
  crash: () => process.kill(process.pid, 'SIGKILL'),
  big: ({ bytes }) => 'x'.repeat(bytes),
  bytes: () => Buffer.from(Array.from({ length: 256 }, (_, byte) => byte)),
  print: ({ text }) => {
    console.log(text);
    return 'printed';
  },
  flood: ({ bytes }) => {
    const line = `${'x'.repeat(1000)}\n`;
    for (let sent = 0; sent < bytes; sent += line.length) process.stdout.write(line);
    return 'flooded';
  },
  write: ({ path }) => {
    try {
      fs.writeFileSync(path, 'contract');
      return 'written';
    } catch {
      return 'refused';
    }
  },
};

exports.handler = (event, context) => {
  const { data } = event;
  if (data === '') return 'hello world';
  if (typeof data !== 'object' || data === null || !('do' in data)) return data;
  const action = actions[data.do];
  if (!action) throw new Error(`contract: cannot do ${data.do}`);
  return action(data, event, context);
};

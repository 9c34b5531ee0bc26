// Answers as the header Event-Type says; without it, with the Event-Id.
'use strict';

const crypto = require('node:crypto');

let kept;
const kinds = {
  text: (response, body) => body,
  bytes: (response, body) => Buffer.from(body),
  json: (response, body) => [body],
  stream: (response, body) => { response.write(body); response.write(body); },
  send: (response, body) => { response.send(body); },
  end: (response, body) => { response.end(body); },
  removes: (response, body) => {
    for (const name of ['Content-Length', 'Transfer-Encoding', 'Connection']) response.removeHeader(name);
    response.write(body);
    response.end(body);
  },
  changes: (response, body) => { response.write(body); response.status(204); },
  keep: (response, body) => { kept = response; return body; },
  late: (response, body) => { kept.on('error', () => {}).write('for another call'); return body; },
  head: (response, body, { status, headers }) => {
    response.writeHead(status ?? 200, Object.fromEntries(headers ?? []));
    response.end(body);
  },
  list: (response, body, { status, headers }) => {
    response.writeHead(status ?? 200, 'Reason', (headers ?? []).flat());
    response.end(body);
  },
};

exports.handler = (event) => {
  if (event['event-id'] === 'sum') return `sum ${crypto.createHash('sha256').update(event.data).digest('hex')}`;
  if (event['event-type'] === undefined) return `id ${event['event-id']}`;
  const order = JSON.parse(event['event-type']);
  const { response } = event.extensions;
  if (order.kind !== 'head' && order.kind !== 'list') {
    if ('status' in order) response.status(order.status);
    for (const [name, value] of order.headers ?? []) response.set(name, value);
  }
  return kinds[order.kind](response, order.body ?? 'hello', order);
};

// What Express leaves to small modules: content types, negotiation (RFC 9110,
// 12), ranges (14), queries and cookies.
'use strict';

const TYPES = {
  bin: 'application/octet-stream', css: 'text/css', csv: 'text/csv', gif: 'image/gif', gz: 'application/gzip', htm: 'text/html',
  html: 'text/html', ico: 'image/vnd.microsoft.icon', ics: 'text/calendar', jpeg: 'image/jpeg', jpg: 'image/jpeg', js: 'text/javascript',
  json: 'application/json', jsonld: 'application/ld+json', md: 'text/markdown', mjs: 'text/javascript', mp3: 'audio/mpeg', mp4: 'video/mp4',
  multipart: 'multipart/*', pdf: 'application/pdf', png: 'image/png', svg: 'image/svg+xml', tar: 'application/x-tar', text: 'text/plain',
  txt: 'text/plain', urlencoded: 'application/x-www-form-urlencoded', wasm: 'application/wasm', wav: 'audio/wav', webm: 'video/webm',
  webp: 'image/webp', woff2: 'font/woff2', xhtml: 'application/xhtml+xml', xml: 'application/xml', yaml: 'application/yaml', zip: 'application/zip',
};
const typeOf = (name) => (name.includes('/') ? name : TYPES[name.replace(/^.*\./, '').toLowerCase()]);

// accepted parses a header like Accept: values with weight and place.
function accepted(header) {
  return header.split(',').map((part, place) => {
    const [value, ...parameters] = part.split(';').map((each) => each.trim());
    const weight = parameters.find((each) => /^q=/i.test(each));
    return { value, q: weight ? Number(weight.slice(2)) || 0 : 1, place };
  }).filter(({ value }) => value);
}

// How exactly a value of a header matches what is offered; 0 if not at all.
const exactness = {
  type: (value, offer) => {
    if (value === offer) return 3;
    if (value === `${offer.split('/')[0]}/*`) return 2;
    return value === '*/*' ? 1 : 0;
  },
  token: (value, offer) => (value === offer ? 2 : Number(value === '*')),
  language: (value, offer) => {
    if (value === offer) return 4;
    if (offer.startsWith(`${value}-`)) return 3;
    if (value.startsWith(`${offer}-`)) return 2;
    return Number(value === '*');
  },
};

// prefer returns the best of the offers, or false; without offers, what the
// header accepts, best first.
function prefer(header, kind, offers, normal = (offer) => offer, always = []) {
  const list = accepted(header ?? (kind === 'type' ? '*/*' : '*'));
  for (const value of always) if (!list.some((each) => each.value === value || each.value === '*')) list.push({ value, q: 0.001, place: list.length });
  const better = (one, other) => other.q - one.q || other.exact - one.exact || one.place - other.place || one.index - other.index;
  if (offers.length === 0) return list.filter(({ q }) => q > 0).map((each, index) => ({ ...each, exact: 0, index })).sort(better).map(({ value }) => value);
  const ranked = offers.flatMap((offer, index) => {
    const wanted = normal(offer)?.toLowerCase();
    if (wanted === undefined) return [];
    const matches = list.map((each) => ({ ...each, exact: exactness[kind](each.value.toLowerCase(), wanted), index, offer })).filter(({ exact }) => exact > 0);
    return matches.sort((one, other) => other.exact - one.exact).slice(0, 1);
  });
  return ranked.filter(({ q }) => q > 0).sort(better)[0]?.offer ?? false;
}

// isType returns which of the types a content type is, or false.
function isType(header, types) {
  const value = header?.split(';', 1)[0].trim().toLowerCase();
  if (!value || !/^[^\s/]+\/[^\s/]+$/.test(value)) return false;
  if (types.length === 0) return value;
  const found = types.find((type) => {
    const wanted = type.startsWith('+') ? `*/*${type}` : typeOf(type);
    if (wanted === undefined) return false;
    const pattern = wanted.toLowerCase().replace(/[.+?^${}()|[\]\\]/g, '\\$&').replaceAll('*', '[^/]*');
    return new RegExp(`^${pattern}$`).test(value);
  });
  if (found === undefined) return false;
  return found.startsWith('+') || found.includes('*') ? value : found;
}

// ranges parses a Range header: an array with type, -1 if no range can be had,
// -2 if it is malformed.
function ranges(header, size) {
  const [, type, list] = /^\s*(\w+)\s*=(.*)$/.exec(header) ?? [];
  if (!type) return -2;
  const found = [];
  for (const part of list.split(',')) {
    const [, first, last] = /^\s*(\d*)-(\d*)\s*$/.exec(part) ?? [];
    if (first === undefined || (first === '' && last === '')) return -2;
    const start = first === '' ? Math.max(0, size - Number(last)) : Number(first);
    const end = first === '' || last === '' ? size - 1 : Math.min(Number(last), size - 1);
    if (start <= end && start < size) found.push({ start, end });
  }
  return found.length === 0 ? -1 : Object.assign(found, { type });
}

// parseQuery parses a query with nested names, as Express does: a=1&a=2,
// b[c]=3, d[]=4.
function parseQuery(text) {
  const query = {};
  for (const [name, value] of new URLSearchParams(text)) {
    const [, base, rest] = /^([^[]+)((?:\[[^[\]]*\]){0,5})$/.exec(name) ?? [undefined, name, ''];
    const keys = [base, ...[...rest.matchAll(/\[([^\]]*)\]/g)].map(([, key]) => key)];
    if (!keys.some((key) => key in Object.prototype)) assign(query, keys, value);
  }
  return query;
}

function assign(target, [key, ...rest], value) {
  const place = key === '' && Array.isArray(target) ? target.length : key;
  const old = target[place];
  if (rest.length > 0) {
    const list = rest[0] === '' || (/^\d{1,2}$/.test(rest[0]) && !(old && !Array.isArray(old)));
    if (typeof old !== 'object') target[place] = list ? [] : {};
    assign(target[place], rest, value);
  } else if (old === undefined) {
    target[place] = value;
  } else {
    target[place] = [old, value].flat();
  }
}

// setCookie writes a Set-Cookie header; maxAge is in milliseconds, as Express has it.
function setCookie(name, value, options) {
  if (!/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name)) throw new TypeError(`${JSON.stringify(name)} is no name of a cookie`);
  const { maxAge, domain, path = '/', httpOnly, secure, partitioned, priority, sameSite, encode = encodeURIComponent } = options;
  const expires = maxAge === undefined || maxAge === null ? options.expires : new Date(Date.now() + maxAge);
  const parts = [`${name}=${encode(typeof value === 'object' ? `j:${JSON.stringify(value)}` : String(value))}`];
  if (maxAge !== undefined && maxAge !== null) parts.push(`Max-Age=${Math.floor(maxAge / 1000)}`);
  if (domain) parts.push(`Domain=${domain}`);
  parts.push(`Path=${path}`);
  if (expires) parts.push(`Expires=${expires.toUTCString()}`);
  if (httpOnly) parts.push('HttpOnly');
  if (secure) parts.push('Secure');
  if (partitioned) parts.push('Partitioned');
  if (priority) parts.push(`Priority=${priority[0].toUpperCase()}${priority.slice(1)}`);
  if (sameSite) parts.push(`SameSite=${sameSite === true ? 'Strict' : sameSite[0].toUpperCase() + sameSite.slice(1)}`);
  if (parts.slice(1).some((part) => (part.match(/;/g) ?? []).length > 0)) throw new TypeError('an option of a cookie has a semicolon');
  return parts.join('; ');
}

module.exports = { isType, parseQuery, prefer, ranges, setCookie, typeOf };

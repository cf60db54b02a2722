// Requests to the server of this page, and what can come of them.

const TIMEOUT = 20_000; // ms

// The server understood, and said no.
export class Refused extends Error {
  constructor(status, body) {
    super(body.error ?? `the server refused (${status})`);
    this.status = status;
    this.body = body;
  }
}

// The server was not reached, or failed: worth trying again.
export class Unreachable extends Error {}

async function ask(path, options = {}) {
  let reply;
  try {
    reply = await fetch(path, {
      credentials: 'same-origin',
      signal: AbortSignal.timeout(TIMEOUT),
      ...options,
    });
  } catch (error) {
    throw new Unreachable(error.message);
  }
  if (reply.status >= 500) {
    throw new Unreachable(`the server failed (${reply.status})`);
  }
  if (!reply.ok) {
    throw new Refused(reply.status, await reply.json().catch(() => ({})));
  }
  return reply;
}

async function body(reply, read) {
  try {
    return await reply[read]();
  } catch (error) {
    throw new Unreachable(error.message); // the connection broke half-way
  }
}

export async function getJson(path) {
  return body(await ask(path, {cache: 'no-store'}), 'json');
}

export async function post(path, content) {
  return body(await ask(path, {
    method: 'POST',
    headers: {'Content-Type': 'application/json'},
    body: JSON.stringify(content),
  }), 'json');
}

export async function putMask(item, request, png) {
  return body(await ask(itemUrl(item, 'mask', request), {
    method: 'PUT',
    headers: {'Content-Type': 'image/png'},
    body: png,
  }), 'json');
}

// Files of an item never change within a request, so the browser keeps them;
// `fresh` reads one that does: the mask.
export async function getBlob(item, what, request, fresh = false) {
  const cache = fresh ? 'no-store' : 'default';
  return body(await ask(itemUrl(item, what, request), {cache}), 'blob');
}

export async function getRuns(item, request) {
  const reply = await ask(itemUrl(item, 'region', request));
  return (await body(reply, 'json')).runs;
}

function itemUrl(item, what, request) {
  return `/api/items/${item}/${what}?request=${request.slice(0, 16)}`;
}

export function sleep(ms) {
  return new Promise((done) => setTimeout(done, ms));
}

// A random version 4 UUID, also where the page has no secure context.
export function uuid() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = [...bytes].map((b) => b.toString(16).padStart(2, '0')).join('');
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

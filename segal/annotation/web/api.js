// Requests to the server of this page, and what can come of them.

import {Refused, Unreachable} from './common.js';

export * from './common.js';

const TIMEOUT = 20_000; // ms

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

// Nothing is taken from the browser's cache: another folder of images may have
// been asked the same places under this address.
export async function getBlob(item, what, request) {
  const url = itemUrl(item, what, request);
  return body(await ask(url, {cache: 'no-store'}), 'blob');
}

export async function getRuns(item, request) {
  const reply = await ask(itemUrl(item, 'region', request));
  return (await body(reply, 'json')).runs;
}

function itemUrl(item, what, request) {
  return `/api/items/${item}/${what}?request=${request.slice(0, 16)}`;
}

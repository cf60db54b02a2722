// The questions of a mailed page: the calls of api.js, without a server.
//
// Pictures lie in the page. What is answered lies in IndexedDB, of which each
// round and person has its own. Another tab of the same page has to wait.

import {Refused, sleep} from './common.js';
import {Record} from './record.js';
import {events} from './store.js';

export * from './common.js';

const PATIENCE = 500; // ms, for what was answered before
const page = document.body.dataset;
const {session, items} = JSON.parse(text('asked'));

const WORDS = {
  elsewhere: ['This page is open in another tab',
    'Answer there. Close that tab to go on here.', ''],
  welcome: [`${count(items.length)} to label, for ${session.annotator}`,
    task(items[0]), ''],
  complete: [`All ${items.length} are answered`,
    'Thank you. Press “Give back”, and mail the file that it saves to the ' +
    'person who sent you this page.', 'You can still undo, and give back again.'],
};

export const record = new Record(items);
export const changed = new EventTarget(); // 'change': of the record
export {session};

let state = 'elsewhere'; // until this is the only tab; then welcome, asking
const opened = alone().then(async () => {
  const former = await events.all();
  former?.filter((event) => record.knows(event))
    .forEach((event) => record.apply(event));
  page.kept = Boolean(former);
  turn('welcome');
});

export function begin() {
  if (state === 'welcome') turn('asking');
}

function turn(to) {
  state = to;
  changed.dispatchEvent(new Event('change'));
  dispatchEvent(new Event('online')); // the page looks at once
}

// Resolves once no other tab shows this page.
function alone() {
  return new Promise((held) => {
    const hold = () => {
      held();
      return new Promise(() => {}); // until the tab is closed
    };
    Promise.resolve()
      .then(() => navigator.locks.request(page.store, hold))
      .catch(held); // where nothing can be shared, nothing is
  });
}

function count(number) {
  const unit = session.unit + (number === 1 ? '' : 's');
  return `${number.toLocaleString('en')} ${unit}`;
}

function task({kind, answer}) {
  if (answer === 'mask') {
    return `You paint the classes of one ${kind} at a time.`;
  }
  return kind === 'pixel'
    ? 'You see one pixel at a time, and say its class.'
    : `You see one ${kind} at a time, and say which class covers most of it.`;
}

function text(id) {
  return document.getElementById(id)?.textContent;
}

// Which round is asked: none, as long as the person does not begin.
function asked() {
  return {
    state, round: session.round,
    request: state === 'asking' ? session.request : null,
  };
}

export async function getJson(path) {
  await Promise.race([opened, sleep(PATIENCE)]);
  const {pathname, searchParams} = new URL(path, 'http://page');
  if (pathname === '/api/session') {
    return {...session, ...asked(), words: WORDS};
  }
  if (pathname === '/api/progress') return {...asked(), ...record.progress()};
  const open = record.open();
  return {
    request: session.request, open: open.length,
    items: open.slice(0, Number(searchParams.get('n')))
      .map((item) => record.shown(item)),
  };
}

export async function post(path, content) {
  const known = record.clients.get(content.client);
  if (path === '/api/undo') return undo(content.client, known);
  if (!known) await answer(content);
  const {answered} = record.progress();
  return {rev: record.rev(content.item), answered};
}

async function answer({item, rev, ...content}) {
  const standing = record.standing(item);
  if (rev !== record.rev(item) || standing) {
    throw new Refused(409, {
      error: 'it was changed in the meantime', rev: record.rev(item),
      standing: standing && {...standing, who: session.annotator},
    });
  }
  await keep({...content, item, rev: rev + 1});
}

async function undo(client, known) {
  const item = known?.item ?? record.undoable();
  if (item === null) return {item: null, was: null};
  if (!known) {
    await keep({item, rev: record.rev(item) + 1, what: 'undo', client});
  }
  const was = record.undone.get(item);
  return {
    item: record.shown(item), was: was && {what: was.what, class: was.class},
  };
}

// Write an event; it is on disk afterwards, where anything can be kept.
async function keep(event) {
  event.at = new Date().toISOString();
  event.base = record.items.get(event.item)?.rev;
  record.apply(event);
  if (!await events.add(event)) page.kept = false;
  changed.dispatchEvent(new Event('change'));
}

// The mask itself is its name here.
export async function putMask(item, request, png) {
  return {mask: new Uint8Array(await png.arrayBuffer())};
}

export async function getBlob(item, what) {
  const {picture} = record.items.get(item);
  const found = what === 'mask'
    ? (record.standing(item) ?? record.undone.get(item))?.mask
    : decoded(text(`${what}-${what === 'context' ? picture : item}`));
  if (!found) throw new Refused(404, {error: `there is no ${what}`});
  const type = what === 'context' ? 'image/jpeg' : 'image/png';
  return new Blob([found], {type});
}

export async function getRuns(item) {
  return record.items.get(item).runs;
}

function decoded(base64) {
  if (!base64) return null;
  const raw = atob(base64);
  const bytes = new Uint8Array(raw.length);
  for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
  return bytes;
}

function encoded(bytes) {
  let raw = '';
  for (let i = 0; i < bytes.length; i += 4096) {
    raw += String.fromCharCode(...bytes.subarray(i, i + 4096));
  }
  return btoa(raw);
}

// The answers as a file: {name, json}.
export function file() {
  const answers = record.answers().map((event) => ({
    item: event.item, what: event.what, class: event.class ?? null,
    mask: event.mask ? encoded(event.mask) : null, ms: event.ms ?? null,
    hidden_ms: event.hidden_ms ?? 0, client: event.client, at: event.at,
  }));
  const {experiment, round, annotator, request} = session;
  const name = `${experiment} round ${round} ${annotator} ` +
    `${answers.length} answers`;
  return {
    name: `${name.replace(/[^\p{L}\p{N}._-]+/gu, '_')}.json`,
    json: JSON.stringify({
      format: 'segal-answers', version: 1, request, annotator, answers,
    }),
  };
}

export function given() {
  return keep({what: 'given'});
}

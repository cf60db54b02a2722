// Deliver answers and undos, in the order they were given.
//
// Each entry lies in IndexedDB until the server acknowledged it, and is sent
// with the same client id however often: the server writes it once.

import {post, putMask, Refused, sleep, Unreachable} from './api.js';
import {encodePng} from './png.js';
import {unsent} from './store.js';

const BACKOFF = [500, 1000, 2000, 4000, 8000, 15_000]; // ms

export class Outbox {
  // on: {sent(entry, reply), refused(entry, error), signedOut(), changed()}
  constructor(scope, on) {
    this.scope = scope; // {folder, annotator, request}
    this.on = on;
    this.entries = [];
    this.offline = false;
    this.busy = false;
    this.stopped = false;
    this.opened = false;
    this.wake = () => {};
    this.online = () => this.wake();
    addEventListener('online', this.online);
  }

  // Take up what an earlier page left unsent. Returns how many answers of
  // another request had to be dropped.
  async open() {
    const {folder, annotator, request} = this.scope;
    const own = (await unsent.all()).filter((entry) =>
      entry.folder === folder && entry.annotator === annotator);
    const late = own.filter((entry) => entry.request !== request);
    late.forEach((entry) => unsent.remove(entry.client));
    const added = new Set(this.entries.map((entry) => entry.client));
    const former = own.filter((entry) =>
      entry.request === request && !added.has(entry.client));
    former.sort((a, b) => a.given - b.given);
    this.entries.unshift(...former); // before what was given meanwhile
    this.opened = true;
    this.pump();
    return late.filter((entry) => entry.what !== 'undo').length;
  }

  get waiting() {
    return this.entries.length;
  }

  has(item) {
    return this.entries.some((entry) => entry.item === item);
  }

  add(entry) {
    const now = performance.timeOrigin + performance.now();
    const last = this.entries.at(-1)?.given ?? 0; // a clock may be set back
    const given = Math.max(now, last + 1);
    Object.assign(entry, this.scope, {given, tries: 0});
    this.entries.push(entry);
    unsent.put(entry);
    this.on.changed();
    this.pump();
  }

  // Take back an answer that nobody was sent yet. False: it may be there.
  cancel(client) {
    const at = this.entries.findIndex((e) => e.client === client && !e.tries);
    if (at < 0) return false;
    unsent.remove(client);
    this.entries.splice(at, 1);
    this.on.changed();
    return true;
  }

  // An item's revision moved: later answers to it go out with the new one.
  moved(item, rev) {
    for (const entry of this.entries) {
      if (entry.item !== item || entry.rev === rev) continue;
      entry.rev = rev;
      unsent.put(entry);
    }
  }

  stop() {
    this.stopped = true;
    removeEventListener('online', this.online);
    this.wake();
  }

  async pump() {
    if (this.busy || this.stopped) return;
    this.busy = true;
    let failures = 0;
    while (this.entries.length && !this.stopped) {
      const entry = this.entries[0];
      try {
        const reply = await this.deliver(entry);
        failures = 0;
        this.offline = false;
        this.drop(entry);
        this.on.sent(entry, reply);
        this.on.changed();
      } catch (error) {
        if (error instanceof Unreachable) {
          this.offline = true;
          this.on.changed();
          const pause = BACKOFF[Math.min(failures++, BACKOFF.length - 1)];
          await Promise.race([
            sleep(pause), new Promise((done) => { this.wake = done; }),
          ]);
        } else if (error instanceof Refused && error.status === 401) {
          this.stopped = true; // the answers wait for the next visit
          this.on.signedOut();
        } else if (error instanceof Refused) {
          this.drop(entry);
          this.on.refused(entry, error);
          this.on.changed();
        } else {
          this.busy = false;
          throw error;
        }
      }
    }
    this.busy = false;
    this.on.changed();
  }

  drop(entry) {
    this.entries.splice(this.entries.indexOf(entry), 1);
    unsent.remove(entry.client);
  }

  async deliver(entry) {
    const {request, annotator, client, item, rev, what} = entry;
    if (!entry.tries++) unsent.put(entry);
    if (what === 'undo') return post('/api/undo', {request, annotator, client});
    let mask = null;
    if (entry.labels) {
      const png = await encodePng(entry.labels, entry.size);
      mask = (await putMask(item, request, png)).mask;
    }
    return post('/api/answers', {
      request, annotator, item, rev, what, mask, class: entry.class,
      ms: entry.ms, hidden_ms: entry.hidden_ms, hint: entry.hint ?? null,
      client,
    });
  }
}

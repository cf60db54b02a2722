// The next items, leased from the server ahead of time.

import {getJson, Refused, Unreachable} from './api.js';

const AHEAD = 8;
const FEW = 6;
const RENEWED = 60_000; // ms; a lease is much longer

export class Queue {
  // on: {filled(), refused(error)}; busy(item): an answer to it is under way;
  // works(): one takes long.
  // source: 'next', or 'review' for what people disagree about.
  constructor(request, source, tab, media, busy, works, on) {
    Object.assign(this, {request, source, tab, media, busy, works, on});
    this.items = [];
    this.revs = new Map(); // item -> the youngest revision heard of
    this.open = null; // open items of the round; null: not known yet
    this.filling = false;
    this.stopped = false;
    this.asked = 0; // when the server was asked last
  }

  get renews() {
    return this.works() && performance.now() - this.asked > RENEWED;
  }

  // Ask for more where few wait, or only to renew the leases of what is here.
  async fill() {
    const few = this.items.length < FEW;
    if (this.filling || this.stopped || !(few || this.renews)) return;
    this.filling = true;
    this.asked = performance.now();
    try {
      const more = this.items.length + (few ? AHEAD : 1);
      const reply = await getJson(
        `/api/${this.source}?n=${more}&tab=${this.tab}`);
      if (this.stopped) return;
      if (reply.request !== this.request) {
        this.on.refused(new Refused(410, {error: 'another round is asked'}));
        return;
      }
      this.open = reply.open;
      for (const item of reply.items) {
        if (item.rev < (this.revs.get(item.item) ?? 0)) continue;
        this.revs.set(item.item, item.rev);
        if (!this.holds(item.item) && !this.busy(item.item)) {
          this.items.push(item);
        }
      }
      this.prepare();
    } catch (error) {
      if (!(error instanceof Unreachable || error instanceof Refused)) {
        throw error;
      }
      if (error instanceof Refused) this.on.refused(error);
    } finally {
      this.filling = false;
    }
    this.on.filled();
  }

  prepare() {
    for (const item of this.items.slice(0, AHEAD)) {
      if (this.media.started(item)) continue; // it has told, or will
      const load = this.media.load(item, this.on.filled);
      load.then(this.on.filled, (error) => {
        if (!(error instanceof Refused)) {
          if (!(error instanceof Unreachable)) console.warn(error);
          return;
        }
        this.remove(item.item);
        this.on.refused(error);
        this.on.filled();
      });
    }
  }

  holds(item) {
    return this.items.some((held) => held.item === item);
  }

  // The next to show: one whose pictures cannot be read waits.
  first() {
    return this.items.find((item) => !this.media.failing(item)) ??
      this.items[0];
  }

  remove(item) {
    this.items = this.items.filter((held) => held.item !== item);
  }

  // Put an item before all others.
  putBack(item) {
    this.remove(item.item);
    this.items.unshift(item);
    this.prepare();
  }

  moved(item, rev) {
    this.revs.set(item, rev);
    for (const held of this.items) if (held.item === item) held.rev = rev;
  }

  stop() {
    this.stopped = true;
  }
}

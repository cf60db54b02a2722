// Fetch and decode the pictures of items ahead of time.

import {getBlob, getRuns, sleep, Unreachable} from './api.js';
import {Region} from './region.js';

const CONTEXTS = 6; // whole images kept; neighbours in the queue share one
const PAUSE = 1000; // ms between two tries
const TRIES = 3; // before other items are shown first

export class Media {
  constructor(request) {
    this.request = request;
    this.loads = new Map(); // item -> {promise, ready, gone}
    this.contexts = new Map(); // image -> promise of an ImageBitmap
  }

  // The decoded pictures, or undefined while they are on their way.
  ready(item) {
    return this.loads.get(item.item)?.ready;
  }

  started(item) {
    return this.loads.has(item.item);
  }

  failing(item) {
    const load = this.loads.get(item.item);
    return Boolean(load) && !load.ready && load.failures >= TRIES;
  }

  // Rejects where the server refuses: the item cannot be shown. Calls
  // failed where it takes long.
  load(item, failed) {
    let load = this.loads.get(item.item);
    if (!load) {
      load = {gone: false, failures: 0, failed};
      load.promise = this.fetch(item, load);
      load.promise.catch(() => {
        if (this.loads.get(item.item) === load) this.loads.delete(item.item);
      });
      this.loads.set(item.item, load);
    }
    return load.promise;
  }

  async fetch(item, load) {
    const [crop, context, region] = await Promise.all([
      this.patiently(load, () => bitmap(item.item, 'crop', this.request)),
      this.patiently(load, () => this.context(item)),
      item.kind === 'region' && this.patiently(load, async () =>
        new Region(await getRuns(item.item, this.request), item.box)),
    ]);
    load.ready = {crop, context, region: region || null};
    return load.ready;
  }

  context(item) {
    let kept = this.contexts.get(item.image);
    this.contexts.delete(item.image);
    kept ??= bitmap(item.item, 'context', this.request);
    kept.catch(() => this.forget(item.image, kept));
    this.contexts.set(item.image, kept); // the youngest last
    for (const image of this.contexts.keys()) {
      if (this.contexts.size <= CONTEXTS) break;
      this.contexts.delete(image);
    }
    return kept;
  }

  forget(image, promise) {
    if (this.contexts.get(image) === promise) this.contexts.delete(image);
  }

  async patiently(load, get) {
    for (;;) {
      try {
        return await get();
      } catch (error) {
        if (!(error instanceof Unreachable) || load.gone) throw error;
        if (++load.failures === TRIES) load.failed();
        await sleep(PAUSE);
      }
    }
  }

  // Forget the pictures of all items but these.
  keep(items) {
    const wanted = new Set(items.map((item) => item.item));
    for (const [item, load] of this.loads) {
      if (wanted.has(item)) continue;
      load.gone = true;
      load.ready?.crop.close();
      this.loads.delete(item);
    }
  }
}

async function bitmap(item, what, request) {
  const blob = await getBlob(item, what, request);
  return createImageBitmap(blob, {colorSpaceConversion: 'none'});
}

// Fetch and decode the pictures of items ahead of time.

import {getBlob, getRuns, sleep, Unreachable} from './api.js';
import {Region} from './region.js';

const CONTEXTS = 6; // whole images kept; neighbours in the queue share one
const PAUSE = 1000; // ms between two tries

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

  // Rejects where the server refuses: the item cannot be shown.
  load(item) {
    let load = this.loads.get(item.item);
    if (!load) {
      load = {gone: false};
      load.promise = this.fetch(item, load);
      load.promise.catch(() => this.loads.delete(item.item));
      this.loads.set(item.item, load);
    }
    return load.promise;
  }

  async fetch(item, load) {
    const [crop, context, region] = await Promise.all([
      this.patiently(load, () => bitmap(item.item, 'crop', this.request)),
      this.context(item),
      item.kind === 'region' && this.patiently(load, async () =>
        new Region(await getRuns(item.item, this.request), item.box)),
    ]);
    load.ready = {crop, context, region: region || null};
    return load.ready;
  }

  context(item) {
    let kept = this.contexts.get(item.image);
    this.contexts.delete(item.image);
    kept ??= this.patiently(
      {gone: false}, () => bitmap(item.item, 'context', this.request));
    kept.catch(() => this.contexts.delete(item.image));
    this.contexts.set(item.image, kept); // the youngest last
    for (const image of this.contexts.keys()) {
      if (this.contexts.size <= CONTEXTS) break;
      this.contexts.delete(image);
    }
    return kept;
  }

  async patiently(load, get) {
    for (;;) {
      try {
        return await get();
      } catch (error) {
        if (!(error instanceof Unreachable) || load.gone) throw error;
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
      this.loads.delete(item);
    }
  }
}

async function bitmap(item, what, request) {
  const blob = await getBlob(item, what, request);
  return createImageBitmap(blob, {colorSpaceConversion: 'none'});
}

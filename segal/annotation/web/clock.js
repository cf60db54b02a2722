// Time from an item's painting to its answer, and how much of it was hidden.

const MEASURES = 2000; // kept in the browser's performance timeline

export class Clock {
  constructor() {
    this.painted = null;
    this.hidden = 0;
    this.since = document.hidden ? performance.now() : null;
    this.changed = () => {
      const now = performance.now();
      if (document.hidden) this.since ??= now;
      else if (this.since !== null) {
        this.hidden += now - Math.max(this.since, this.painted ?? now);
        this.since = null;
      }
    };
    document.addEventListener('visibilitychange', this.changed);
  }

  stop() {
    document.removeEventListener('visibilitychange', this.changed);
  }

  // Start with the frame that shows what was just drawn.
  paint(then) {
    this.clear();
    const {turn} = this;
    requestAnimationFrame(() => {
      if (turn !== this.turn) return;
      this.painted = performance.now();
      this.hidden = 0;
      then();
      if (this.key !== undefined) this.measure();
    });
  }

  clear() {
    this.painted = null;
    this.turn = (this.turn ?? 0) + 1;
  }

  // Milliseconds up to now, or null where nothing is painted.
  read(when) {
    if (this.painted === null) return null;
    this.changed();
    const ms = Math.max(0, Math.round(when - this.painted));
    return {ms, hidden_ms: Math.min(ms, Math.round(this.hidden))};
  }

  // The next painting is measured from this key.
  answered(when) {
    this.key = when;
  }

  measure() {
    const name = 'key to next painted';
    performance.measure(name, {start: this.key, end: this.painted});
    if (performance.getEntriesByName(name).length > MEASURES) {
      performance.clearMeasures(name);
    }
    this.key = undefined;
  }
}

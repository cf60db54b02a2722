// A mask under the brush: class ids in the box of an item, without a canvas.

export const NONE = 255; // no class
const KEPT = 96e6; // bytes of former states

export class Mask {
  // allowed: Uint8Array (height * width), 1 where a class is asked; null: all.
  constructor(height, width, allowed = null) {
    Object.assign(this, {height, width, allowed});
    this.labels = new Uint8Array(height * width).fill(NONE);
    this.former = [];
    this.asked = allowed
      ? allowed.reduce((sum, one) => sum + one, 0) : height * width;
    this.count();
  }

  // Take over a former mask; what lies outside the region stays without class.
  load(labels) {
    if (this.share) this.begin(); // undo brings back what was painted
    this.labels = Uint8Array.from(labels, (label, i) =>
      !this.allowed || this.allowed[i] ? label : NONE);
    this.count();
  }

  // Before a stroke: undo comes back to here.
  begin() {
    this.former.push(this.labels.slice());
    while (this.former.length > 2 &&
           this.former.length * this.labels.length > KEPT) {
      this.former.shift();
    }
  }

  // Forget a stroke that changed nothing. Returns whether it did change.
  end() {
    const before = this.former.at(-1);
    const changed = before?.some((label, i) => label !== this.labels[i]);
    if (before && !changed) this.former.pop();
    this.count();
    return Boolean(changed);
  }

  undo() {
    if (!this.former.length) return false;
    this.labels = this.former.pop();
    this.count();
    return true;
  }

  count() {
    this.counts = new Uint32Array(256);
    for (let i = 0; i < this.labels.length; i++) {
      if (!this.allowed || this.allowed[i]) this.counts[this.labels[i]]++;
    }
    this.share = 1 - this.counts[NONE] / this.asked;
  }

  set(i, label) {
    if (!this.allowed || this.allowed[i]) this.labels[i] = label;
  }

  // Paint all pixels whose centre is within diameter/2 of (y, x); at least
  // the one that holds it.
  disc(y, x, diameter, label) {
    const radius = diameter / 2;
    const top = Math.max(0, Math.floor(y - radius));
    const end = Math.min(this.height, Math.ceil(y + radius) + 1);
    for (let row = top; row < end; row++) {
      const dy = row + 0.5 - y;
      if (dy * dy > radius * radius) continue;
      const half = Math.sqrt(radius * radius - dy * dy);
      const from = Math.max(0, Math.ceil(x - half - 0.5));
      const to = Math.min(this.width - 1, Math.floor(x + half - 0.5));
      for (let column = from; column <= to; column++) {
        this.set(row * this.width + column, label);
      }
    }
    const [row, column] = [Math.floor(y), Math.floor(x)];
    if (row >= 0 && column >= 0 && row < this.height && column < this.width) {
      this.set(row * this.width + column, label);
    }
  }

  line([y0, x0], [y1, x1], diameter, label) {
    const far = Math.hypot(y1 - y0, x1 - x0);
    const steps = Math.max(1, Math.ceil(far / Math.max(0.5, diameter / 4)));
    for (let step = 0; step <= steps; step++) {
      const t = step / steps;
      this.disc(y0 + t * (y1 - y0), x0 + t * (x1 - x0), diameter, label);
    }
  }

  // Paint the pixels whose centre is inside, by the even-odd rule.
  polygon(corners, label) {
    for (let row = 0; row < this.height; row++) {
      const y = row + 0.5;
      const crossings = [];
      corners.forEach(([y0, x0], i) => {
        const [y1, x1] = corners[(i + 1) % corners.length];
        if ((y0 <= y) === (y1 <= y)) return;
        crossings.push(x0 + ((y - y0) / (y1 - y0)) * (x1 - x0));
      });
      crossings.sort((a, b) => a - b);
      for (let i = 0; i + 1 < crossings.length; i += 2) {
        const from = Math.max(0, Math.ceil(crossings[i] - 0.5));
        const to = Math.min(this.width, Math.ceil(crossings[i + 1] - 0.5));
        for (let column = from; column < to; column++) {
          this.set(row * this.width + column, label);
        }
      }
    }
  }

  // Paint where ids (Uint32Array, one for each pixel of the box) equal id.
  superpixel(ids, id, label) {
    for (let i = 0; i < ids.length; i++) if (ids[i] === id) this.set(i, label);
  }

  fillRest(label) {
    for (let i = 0; i < this.labels.length; i++) {
      if (this.labels[i] === NONE) this.set(i, label);
    }
  }
}

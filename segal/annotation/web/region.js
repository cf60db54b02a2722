// The places of one region, within its box.

export class Region {
  // runs: [[start, length], ...], row-major within the box.
  constructor(runs, [, , height, width]) {
    this.height = height;
    this.width = width;
    this.inside = new Uint8Array(height * width);
    this.count = 0;
    for (const [start, length] of runs) {
      this.inside.fill(1, start, start + length);
      this.count += length;
    }
    this.outline = this.trace();
    this.area = this.fill();
  }

  at(y, x) {
    if (y < 0 || x < 0 || y >= this.height || x >= this.width) return 0;
    return this.inside[y * this.width + x];
  }

  // Every edge between a place of the region and one that is not, as a path
  // in pixels of the box; straight edges are one line.
  trace() {
    const path = new Path2D();
    for (let y = 0; y <= this.height; y++) {
      for (let x = 0, start = -1; x <= this.width; x++) {
        const edge = x < this.width && this.at(y - 1, x) !== this.at(y, x);
        if (edge && start < 0) start = x;
        if (!edge && start >= 0) {
          path.moveTo(start, y);
          path.lineTo(x, y);
          start = -1;
        }
      }
    }
    for (let x = 0; x <= this.width; x++) {
      for (let y = 0, start = -1; y <= this.height; y++) {
        const edge = y < this.height && this.at(y, x - 1) !== this.at(y, x);
        if (edge && start < 0) start = y;
        if (!edge && start >= 0) {
          path.moveTo(x, start);
          path.lineTo(x, y);
          start = -1;
        }
      }
    }
    return path;
  }

  fill() {
    const path = new Path2D();
    for (let y = 0; y < this.height; y++) {
      for (let x = 0, start = -1; x <= this.width; x++) {
        const inside = this.at(y, x);
        if (inside && start < 0) start = x;
        if (!inside && start >= 0) {
          path.rect(start, y, x - start, 1);
          start = -1;
        }
      }
    }
    return path;
  }
}

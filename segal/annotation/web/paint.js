// Paint a mask: brush, eraser, polygon, superpixels, fill of the rest.

import {getBlob} from './api.js';
import {Mask, NONE} from './mask.js';
import {decodeIds} from './png.js';
import {twoTone} from './stage.js';

export const SIZES = [1, 2, 3, 5, 8, 12, 18, 27, 40, 60, 90]; // diameters
const ALPHA = 140; // of painted classes, of 255

export class Painter {
  // on: {changed(): a stroke ended, ready(): superpixels are there,
  // hover(label or null), needs(text)}
  constructor(stage, classes, request, on) {
    Object.assign(this, {stage, request, on});
    this.tool = 'brush';
    this.label = classes[0].id;
    this.palette = new Uint32Array(256);
    for (const {id, colour} of classes) {
      const [r, g, b] = [1, 3, 5].map((at) =>
        parseInt(colour.slice(at, at + 2), 16));
      this.palette[id] = ((ALPHA << 24) | (b << 16) | (g << 8) | r) >>> 0;
    }
  }

  open(item, region) {
    const [top, left, height, width] = item.box;
    Object.assign(this, {item, ids: null, corners: [], pointer: null});
    this.mask = new Mask(height, width, region?.inside ?? null);
    this.painting = false;
    this.size ??= SIZES[Math.max(height, width) > 400 ? 7 : 4];
    this.cursor = [height / 2, width / 2];
    this.overlay = new OffscreenCanvas(width, height);
    this.image = new ImageData(width, height);
    this.pixels = new Uint32Array(this.image.data.buffer);
    this.origin = [top, left];
    this.outside = region && cover(width, height, (i) =>
      region.inside[i] ? 0 : 0x8c000000);
    this.edges = null;
    this.refresh();
    this.fetchIds(item);
  }

  close() {
    this.item = null;
    this.mask = null;
  }

  async fetchIds(item) {
    const blob = await getBlob(item.item, 'superpixels', this.request)
      .catch(() => null); // the other tools work without
    if (!blob) return;
    const {width, values} = await decodeIds(blob);
    if (this.item !== item) return;
    const [top, left, h, w] = item.box;
    const [dy, dx] = [top - item.crop[0], left - item.crop[1]];
    const ids = new Uint32Array(h * w);
    for (let y = 0; y < h; y++) {
      const from = (y + dy) * width + dx;
      ids.set(values.subarray(from, from + w), y * w);
    }
    this.ids = ids;
    this.edges = cover(w, h, (i) =>
      ((i + 1) % w && ids[i] !== ids[i + 1]) ||
      (i + w < ids.length && ids[i] !== ids[i + w]) ? 0x70ffffff : 0);
    this.stage.draw();
    this.on.ready();
  }

  load(labels) {
    this.mask.load(labels);
    this.refresh();
    this.on.changed();
  }

  // Draw rows anew after their labels changed.
  refresh(from = 0, end = this.mask.height) {
    const {width, labels} = this.mask;
    const top = Math.max(0, Math.floor(from));
    const bottom = Math.min(this.mask.height, Math.ceil(end));
    if (bottom <= top) return;
    for (let i = top * width; i < bottom * width; i++) {
      this.pixels[i] = this.palette[labels[i]];
    }
    this.overlay.getContext('2d').putImageData(
      this.image, 0, 0, 0, top, width, bottom - top);
    this.stage.draw();
  }

  // Called by the stage, over the crop.
  draw(context, view, thin) {
    if (!this.mask) return;
    const {scale} = view;
    const top = view.top + this.origin[0] * scale;
    const left = view.left + this.origin[1] * scale;
    const size = [this.mask.width * scale, this.mask.height * scale];
    context.imageSmoothingEnabled = false;
    if (this.outside) context.drawImage(this.outside, left, top, ...size);
    if (this.stage.marks) {
      context.drawImage(this.overlay, left, top, ...size);
    }
    if (this.tool === 'superpixel' && this.edges && this.stage.marks) {
      context.imageSmoothingEnabled = scale < 2;
      context.drawImage(this.edges, left, top, ...size);
    }
    const at = ([y, x]) => [left + x * scale, top + y * scale];
    if (this.corners.length) this.drawPolygon(context, at, thin);
    const point = this.pointer ?? (this.byKeys ? this.cursor : null);
    if (!point) return;
    const ring = new Path2D();
    const round = this.tool === 'brush' || this.tool === 'eraser';
    const radius = round ? Math.max(2, (this.size / 2) * scale) : 5 * thin;
    ring.arc(...at(point), radius, 0, 7);
    twoTone(context, ring, thin);
  }

  drawPolygon(context, at, thin) {
    const path = new Path2D();
    path.moveTo(...at(this.corners[0]));
    for (const corner of this.corners.slice(1)) path.lineTo(...at(corner));
    if (this.pointer) path.lineTo(...at(this.pointer));
    twoTone(context, path, thin);
    const start = new Path2D();
    start.arc(...at(this.corners[0]), 6 * thin, 0, 7);
    twoTone(context, start, thin);
  }

  // --- what a pointer or the arrow keys do, in pixels of the image ---

  local([y, x]) {
    return [y - this.origin[0], x - this.origin[1]];
  }

  start(point) {
    const at = this.local(point);
    if (this.tool === 'polygon') return this.corner(at);
    if (this.tool === 'superpixel' && !this.ids) {
      return this.on.needs('The superpixels are not there yet.');
    }
    this.mask.begin();
    this.painting = true;
    this.last = at;
    this.paint(at);
  }

  drag(point) {
    this.hover(point);
    if (this.painting) this.paint(this.local(point));
  }

  paint(at) {
    const label = this.tool === 'eraser' ? NONE : this.label;
    if (this.tool === 'superpixel') {
      const i = this.index(at);
      if (i !== null) this.mask.superpixel(this.ids, this.ids[i], label);
      this.refresh();
    } else {
      this.mask.line(this.last, at, this.size, label);
      const rows = [this.last[0], at[0]];
      this.refresh(
        Math.min(...rows) - this.size, Math.max(...rows) + this.size);
    }
    this.last = at;
  }

  finish() {
    if (!this.painting) return;
    this.painting = false;
    if (this.mask.end()) this.on.changed();
  }

  // A second finger came: the first one was no stroke.
  cancel() {
    if (!this.painting) return;
    this.painting = false;
    this.mask.undo();
    this.refresh();
  }

  hover(point) {
    this.pointer = point && this.local(point);
    this.byKeys = false;
    const i = point ? this.index(this.pointer) : null;
    this.on.hover(i === null ? null : this.mask.labels[i]);
    if (!this.painting) this.stage.draw();
  }

  index([y, x]) {
    const {height, width} = this.mask;
    if (y < 0 || x < 0 || y >= height || x >= width) return null;
    return Math.floor(y) * width + Math.floor(x);
  }

  corner(at) {
    const {scale} = this.stage.view();
    const [first] = this.corners;
    const near = 12 * devicePixelRatio / scale;
    if (this.corners.length > 2 &&
        Math.hypot(at[0] - first[0], at[1] - first[1]) < near) {
      return this.closePolygon();
    }
    this.corners.push(at);
    this.stage.draw();
  }

  // Returns whether there was one to close.
  closePolygon() {
    if (!this.corners.length) return false;
    if (this.corners.length > 2) {
      this.mask.begin();
      this.mask.polygon(this.corners, this.label);
      if (this.mask.end()) this.on.changed();
    }
    this.corners = [];
    this.refresh();
    return true;
  }

  dropPolygon() {
    this.corners = [];
    this.stage.draw();
  }

  fillRest() {
    this.mask.begin();
    this.mask.fillRest(this.label);
    if (this.mask.end()) this.on.changed();
    this.refresh();
  }

  undo() {
    if (this.corners.length) {
      this.corners.pop();
      this.stage.draw();
    } else if (this.mask.undo()) {
      this.refresh();
      this.on.changed();
    }
  }

  choose(tool) {
    this.tool = tool;
    this.corners = [];
    this.stage.draw();
  }

  resize(by) {
    const at = SIZES.indexOf(this.size) + by;
    this.size = SIZES[Math.min(SIZES.length - 1, Math.max(0, at))];
    this.stage.draw();
  }

  step(dy, dx, far) {
    const by = far ? 10 : 1;
    const {height, width} = this.mask;
    const within = (value, end) => Math.min(end - 0.5, Math.max(0.5, value));
    const [y, x] = this.cursor.map((value) => Math.floor(value) + 0.5);
    this.cursor = [within(y + dy * by, height), within(x + dx * by, width)];
    this.pointer = null;
    this.byKeys = true;
    this.on.hover(this.mask.labels[this.index(this.cursor)]);
    this.stage.draw();
  }

  // The arrow keys' own stroke.
  dab() {
    const [y, x] = this.cursor;
    this.start([y + this.origin[0], x + this.origin[1]]);
    this.finish();
  }
}

// A canvas of one colour (0xaabbggrr) for each pixel.
function cover(width, height, colour) {
  const canvas = new OffscreenCanvas(width, height);
  const image = new ImageData(width, height);
  const pixels = new Uint32Array(image.data.buffer);
  for (let i = 0; i < pixels.length; i++) pixels[i] = colour(i);
  canvas.getContext('2d').putImageData(image, 0, 0);
  return canvas;
}

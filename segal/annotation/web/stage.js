// Draw an item: its crop, magnified, and the whole image with a frame.

const PIXEL_ZOOM = 8; // screen pixels a pixel of the image
const STEP = Math.SQRT2; // of one zoom key
const GRID_FROM = 5; // screen pixels from which a grid is drawn

// A canvas that always has one pixel for each pixel of the screen.
export class Surface {
  constructor(canvas, draw) {
    this.canvas = canvas;
    this.context = canvas.getContext('2d');
    new ResizeObserver(() => {
      const ratio = devicePixelRatio;
      canvas.width = Math.max(1, Math.round(canvas.clientWidth * ratio));
      canvas.height = Math.max(1, Math.round(canvas.clientHeight * ratio));
      draw();
    }).observe(canvas);
  }
}

export class Stage {
  constructor(crop, context) {
    this.main = new Surface(crop, () => this.draw());
    this.whole = new Surface(context, () => this.draw());
    this.steps = {pixel: 0, region: 0, image: 0}; // zoom, kept a kind
    this.marks = true; // cross, grid, outline
    this.filled = false; // the region, in one colour
    this.painter = null; // draws over the crop of a mask item
    this.item = null;
  }

  show(item, media) {
    Object.assign(this, {item, media, pan: {y: 0, x: 0}});
    if (item.answer === 'mask') this.steps[item.kind] = 0;
    this.draw();
  }

  clear() {
    this.item = null;
    this.draw();
  }

  // Zoom by steps; what lies at the place of the canvas stays there.
  zoom(by, at = null) {
    if (!this.item) return;
    const {kind} = this.item;
    const [y, x] = at ?? [0, 0];
    const before = this.view();
    this.steps[kind] = Math.min(10, Math.max(-6, this.steps[kind] + by));
    if (this.steps[kind] <= 0 && kind !== 'pixel') {
      this.pan = {y: 0, x: 0};
    } else if (at && kind !== 'pixel') {
      const after = this.view();
      this.pan.y += (y - before.top) / before.scale;
      this.pan.x += (x - before.left) / before.scale;
      this.pan.y -= (y - after.top) / after.scale;
      this.pan.x -= (x - after.left) / after.scale;
    }
    this.draw();
  }

  // Move the view, in screen pixels.
  move(dy, dx) {
    if (!this.item) return;
    const {scale} = this.view();
    const [, , height, width] = this.item.crop;
    const within = (value, limit) => Math.max(-limit, Math.min(limit, value));
    this.pan.y = within(this.pan.y - dy / scale, height / 2);
    this.pan.x = within(this.pan.x - dx / scale, width / 2);
    this.draw();
  }

  // From pixels of the image to pixels of the canvas.
  view() {
    const {width, height} = this.main.canvas;
    const {kind, answer, box, crop} = this.item;
    const step = this.steps[kind];
    let centre = middle(crop);
    let scale;
    if (kind === 'pixel') {
      centre = middle(box);
      scale = PIXEL_ZOOM * devicePixelRatio * STEP ** step;
    } else {
      scale = Math.min(height / crop[2], width / crop[3]) * STEP ** step;
      if (step > 0 && answer === 'class') centre = middle(box);
    }
    if (scale > 3) scale = Math.floor(scale);
    const y = centre[0] + this.pan.y;
    const x = centre[1] + this.pan.x;
    return {
      scale,
      top: Math.round(height / 2 - y * scale),
      left: Math.round(width / 2 - x * scale),
    };
  }

  draw() {
    for (const {context, canvas} of [this.main, this.whole]) {
      context.setTransform(1, 0, 0, 1, 0, 0);
      context.clearRect(0, 0, canvas.width, canvas.height);
    }
    if (!this.item) return;
    this.drawCrop();
    this.drawWhole();
  }

  drawCrop() {
    const {context} = this.main;
    const {item, media} = this;
    const {scale, top, left} = this.view();
    const [height, width] = item.size;
    const [y, x, h, w] = item.crop;
    context.imageSmoothingEnabled = true;
    context.imageSmoothingQuality = 'low';
    context.globalAlpha = 0.55; // what lies around, less sharp and paler
    context.drawImage(media.context, left, top, width * scale, height * scale);
    context.globalAlpha = 1;
    context.imageSmoothingEnabled = scale < 1;
    context.imageSmoothingQuality = 'medium';
    context.drawImage(
      media.crop, left + x * scale, top + y * scale, w * scale, h * scale);
    const thin = devicePixelRatio;
    if (item.answer === 'mask') {
      this.painter?.draw(context, {scale, top, left}, thin);
    }
    if (this.filled && media.region) this.drawFilled(scale, top, left);
    if (!this.marks) return;
    if (item.kind === 'pixel') {
      if (scale >= GRID_FROM * thin) this.drawGrid(scale, top, left);
      this.drawCross(scale, top, left, thin);
    } else if (media.region) {
      this.drawOutline(scale, top, left, thin);
    }
  }

  drawGrid(scale, top, left) {
    const {context} = this.main;
    const [y, x, h, w] = this.item.crop;
    const [y0, x0] = [top + y * scale, left + x * scale];
    context.beginPath();
    for (let i = 0; i <= h; i++) {
      context.rect(x0, y0 + i * scale, w * scale, 1);
    }
    for (let i = 0; i <= w; i++) {
      context.rect(x0 + i * scale, y0, 1, h * scale);
    }
    context.fillStyle = 'rgb(128 128 128 / .28)';
    context.fill();
  }

  // Four arms and a frame around the pixel; the pixel itself stays free.
  drawCross(scale, top, left, thin) {
    const {context} = this.main;
    const [y, x] = this.item.box;
    const [y0, x0] = [top + y * scale, left + x * scale];
    const gap = Math.max(1.5 * scale, 8 * thin);
    const arm = Math.max(5 * scale, 36 * thin);
    const [cy, cx] = [y0 + scale / 2, x0 + scale / 2];
    const path = new Path2D();
    for (const [dy, dx] of [[-1, 0], [1, 0], [0, -1], [0, 1]]) {
      path.moveTo(cx + dx * gap, cy + dy * gap);
      path.lineTo(cx + dx * (gap + arm), cy + dy * (gap + arm));
    }
    const out = 2 * thin;
    path.rect(x0 - out, y0 - out, scale + 2 * out, scale + 2 * out);
    twoTone(context, path, thin);
  }

  inBox(scale, top, left) {
    const {context} = this.main;
    const [y, x] = this.item.box;
    context.setTransform(
      scale, 0, 0, scale, left + x * scale, top + y * scale);
    return context;
  }

  drawOutline(scale, top, left, thin) {
    const context = this.inBox(scale, top, left);
    twoTone(context, this.media.region.outline, thin / scale);
    context.setTransform(1, 0, 0, 1, 0, 0);
  }

  drawFilled(scale, top, left) {
    const context = this.inBox(scale, top, left);
    context.fillStyle = 'rgb(255 214 10 / .6)';
    context.fill(this.media.region.area);
    context.setTransform(1, 0, 0, 1, 0, 0);
  }

  // The whole image; a frame around what the crop shows.
  drawWhole() {
    const {context, canvas} = this.whole;
    const {item, media} = this;
    const [height, width] = item.size;
    const scale = Math.min(canvas.width / width, canvas.height / height);
    const top = (canvas.height - height * scale) / 2;
    const left = (canvas.width - width * scale) / 2;
    context.imageSmoothingQuality = 'medium';
    context.drawImage(media.context, left, top, width * scale, height * scale);
    const view = this.view();
    const shown = this.main.canvas;
    const y0 = Math.max(0, -view.top / view.scale);
    const x0 = Math.max(0, -view.left / view.scale);
    const y1 = Math.min(height, (shown.height - view.top) / view.scale);
    const x1 = Math.min(width, (shown.width - view.left) / view.scale);
    const thin = devicePixelRatio;
    const path = new Path2D();
    const inner = 2 * thin; // a frame around all of it is seen, too
    path.rect(
      Math.round(left + x0 * scale) + inner,
      Math.round(top + y0 * scale) + inner,
      Math.max(4 * thin, Math.round((x1 - x0) * scale) - 2 * inner),
      Math.max(4 * thin, Math.round((y1 - y0) * scale) - 2 * inner));
    twoTone(context, path, thin);
    if (item.kind === 'pixel') {
      const [y, x] = middle(item.box);
      const ring = new Path2D();
      ring.arc(left + x * scale, top + y * scale, 4 * thin, 0, 7);
      twoTone(context, ring, thin);
    }
  }
}

// Seen on every ground: white within black.
export function twoTone(context, path, thin) {
  context.lineJoin = 'round';
  context.lineWidth = 4 * thin;
  context.strokeStyle = '#000';
  context.stroke(path);
  context.lineWidth = 2 * thin;
  context.strokeStyle = '#fff';
  context.stroke(path);
}

function middle([top, left, height, width]) {
  return [top + height / 2, left + width / 2];
}

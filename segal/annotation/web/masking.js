// A mask under way: its tools, and what is kept of it between visits.

import {getBlob} from './api.js';
import {Painter} from './paint.js';
import {confirmed, percent, showMask, showUnder, toast} from './panels.js';
import {decodeGrey} from './png.js';
import {drafts} from './store.js';

const MUCH = 0.05; // a share unpainted that is asked about before sending
const PAUSE = 600; // ms between a stroke and its keeping
const TOOLS = ['brush', 'eraser', 'polygon', 'superpixel'];

export class Masking {
  constructor({folder, request, annotator, classes}, stage, palette) {
    Object.assign(this, {folder, request, annotator, palette});
    this.painter = new Painter(stage, classes, request, {
      changed: () => this.strokeDone(),
      ready: () => this.tell(),
      hover: (label) => showUnder(label, palette),
      needs: (text) => toast(text),
    });
    stage.painter = this.painter;
  }

  // Start from what was painted before: here, in an earlier visit, or sent.
  async open(item, region, former) {
    const {painter} = this;
    painter.open(item, region);
    this.tell();
    const labels = former ?? await drafts.get(this.key(item)) ??
      (item.rev > 0 && !item.skipped && !item.anew ? await this.sent(item) : null);
    if (labels && painter.item === item && !painter.mask.share) {
      painter.load(labels);
    }
  }

  async sent(item) {
    try {
      const blob = await getBlob(item.item, 'mask', this.request);
      return (await decodeGrey(blob)).values;
    } catch {
      return null; // none was sent
    }
  }

  tell() {
    showMask(this.painter, this.palette);
  }

  choose(label) {
    this.painter.label = label;
    if (this.painter.tool === 'eraser') this.painter.choose('brush');
    this.palette.choose(label);
    this.tell();
  }

  do(what) {
    const {painter} = this;
    if (TOOLS.includes(what)) painter.choose(what);
    else if (what === 'fill_rest') painter.fillRest();
    else if (what === 'undo_stroke') painter.undo();
    else if (what === 'thinner') painter.resize(-1);
    else if (what === 'thicker') painter.resize(1);
    else if (what === 'dab') painter.dab();
    this.tell();
  }

  // Whether there was a polygon to close.
  closedPolygon() {
    return this.painter.closePolygon();
  }

  // The labels, once the person agrees that they can be sent; or null.
  async agreed() {
    const {mask} = this.painter;
    if (!mask.share) {
      toast('Nothing is painted. V says: none of the classes.');
      return null;
    }
    const yes = 1 - mask.share <= MUCH || await confirmed({
      title: `${percent(1 - mask.share)} has no class yet`,
      text: 'Pixels that are not painted count as none of the classes, and ' +
        'are not asked again.',
      yes: 'Send it so', no: 'Go on painting',
    });
    return yes ? mask.labels : null;
  }

  key(item) {
    return `${this.folder}/${this.request}/${this.annotator}/${item.item}`;
  }

  keep() {
    const {item, mask} = this.painter;
    if (!item) return;
    if (mask.share) drafts.put(this.key(item), mask.labels);
    else this.forget(item);
  }

  // Keep a mask that was sent, and refused.
  restore(item, labels) {
    if (labels) drafts.put(this.key(item), labels);
  }

  forget(item) {
    drafts.remove(this.key(item));
  }

  strokeDone() {
    this.tell();
    const {item} = this.painter;
    clearTimeout(this.saving);
    this.saving = setTimeout(() => {
      if (this.painter.item === item) this.keep();
    }, PAUSE);
  }
}

// One round: show its questions, take answers, and take them back.

import {Refused, uuid} from './api.js';
import {Clock} from './clock.js';
import {Hints} from './hints.js';
import {Masking} from './masking.js';
import {Media} from './media.js';
import {Outbox} from './outbox.js';
import {$, say, toast} from './panels.js';
import {Queue} from './queue.js';
import {Votes} from './votes.js';

const KEPT = 4; // answered items whose pictures are kept for an undo
const SAID = {void: 'no class', cant_tell: 'can’t tell', skip: 'skipped',
  mask: 'a mask'};
const page = document.body.dataset;

export class Asking {
  // on: {changed(), refused(error), reached(), counted(answered or null)}
  constructor(session, tab, stage, palette, on) {
    Object.assign(this, {session, stage, palette, on});
    const {request, folder, annotator} = session;
    this.request = request;
    this.current = null;
    this.history = []; // {item, client, what, class, labels}, youngest last
    this.masking = new Masking(session, stage, palette);
    this.painter = this.masking.painter;
    this.clock = new Clock();
    this.media = new Media(request);
    this.outbox = new Outbox({request, folder, annotator}, {
      sent: (entry, reply) => this.sent(entry, reply),
      refused: (entry, error) => this.answerRefused(entry, error),
      signedOut: () => on.refused(new Refused(401, {})),
      changed: on.changed,
    });
    this.reviews = session.role === 'reviewer';
    this.hints = new Hints(palette);
    this.votes = new Votes(session, palette, this.masking);
    this.queue = new Queue(
      request, this.reviews ? 'review' : 'next', tab, this.media,
      (item) => this.outbox.has(item) || this.current?.item === item,
      () => this.current && this.painter.mask?.share > 0,
      {filled: () => this.next(), refused: on.refused});
    this.outbox.open().then((late) => {
      if (late) toast(`${late} answers to an earlier round came too late.`);
      this.fill();
    });
  }

  stop() {
    this.outbox.stop();
    this.queue.stop();
    this.clock.stop();
    this.leave();
  }

  fill() {
    this.queue.fill();
    if (this.coming && !this.current) this.next(); // pictures that failed
  }

  // Whether a question is on its way to the screen.
  get coming() {
    return this.queue.items.length > 0;
  }

  // By how much the count of answers changes with what was not sent yet.
  get unsentAnswers() {
    const change = {undo: -1, skip: 0};
    return this.outbox.entries.reduce(
      (sum, {what, of}) => sum + (of === 'skip' ? 0 : change[what] ?? 1), 0);
  }

  // --- showing ---

  next() {
    if (this.current) return;
    const item = this.queue.first();
    const media = item && this.media.ready(item);
    if (media) {
      this.queue.remove(item.item);
      this.show(item, media);
      this.media.keep([item, ...this.queue.items,
        ...this.history.slice(-KEPT).map((past) => past.item)]);
    } else {
      this.queue.prepare();
      this.leave();
    }
    this.on.changed();
  }

  // Show this item before all others; the one on the screen comes after it.
  present(item) {
    if (this.current) this.queue.putBack(this.current);
    this.current = null;
    this.queue.putBack(item);
    this.next();
  }

  show(item, media) {
    this.current = item;
    const mask = item.answer === 'mask';
    page.kind = item.kind;
    page.answer = item.answer;
    if (mask) this.masking.open(item, media.region, this.redo);
    else this.painter.close();
    this.palette.choose(mask ? this.painter.label : null);
    if (!mask) this.palette.shares(null);
    this.hints.show(item, this.session.suggest);
    this.votes.show(item);
    $('question').textContent = question(item);
    $('caption').textContent = where(item, media);
    $('crop').setAttribute(
      'aria-label', `${question(item)} ${where(item, media)}`);
    this.stage.show(item, media);
    this.clock.paint(() => {
      page.item = item.item;
      page.image = item.image;
      page.rev = item.rev;
      page.painted = Number(page.painted) + 1;
    });
  }

  leave() {
    if (this.current) this.queue.putBack(this.current);
    this.current = null;
    this.painter.close();
    this.hints.show(null);
    this.stage.clear();
    this.clock.clear();
    page.item = '';
  }

  // --- answering ---

  classChosen(one, when) {
    if (!this.current) return;
    if (this.current.answer === 'mask') {
      this.masking.choose(one.id);
    } else {
      this.palette.flash(one.id);
      this.answer('class', when, {class: one.id});
    }
  }

  do(what, when) {
    if (what === 'undo') this.undo();
    else if (!this.current) return;
    else if (['skip', 'void', 'cant_tell'].includes(what)) {
      this.answer(what, when);
    } else if (what === 'accept') this.accept(when);
    else if (what === 'send') this.send(when);
    else if (this.current.answer === 'mask') this.masking.do(what);
  }

  // Take the class that is preselected, if one is.
  accept(when) {
    const id = this.hints.preselected;
    if (id === null) return;
    this.palette.flash(id);
    this.answer('class', when, {class: id});
  }

  async send(when) {
    const {current} = this;
    if (current.answer !== 'mask' || this.masking.closedPolygon()) return;
    const labels = await this.masking.agreed();
    if (!labels || this.current !== current) return;
    this.answer('mask', when, {labels, size: current.box.slice(2)});
  }

  answer(what, when, more = {}) {
    const {current: item, clock} = this;
    const times = item && clock.read(when);
    if (!times) return; // nobody can answer what was not painted yet
    const client = uuid();
    const {hint} = this.hints;
    const past = {item, client, what, class: more.class ?? null};
    if (what !== 'mask' && item.answer === 'mask') this.masking.keep();
    else if (more.labels) past.labels = more.labels;
    this.history.push(past);
    if (this.history.length > 2 * KEPT) {
      delete this.history.at(-2 * KEPT).labels;
    }
    this.current = null;
    this.next();
    clock.answered(when);
    this.outbox.add({
      client, item: item.item, what, class: past.class, ...more, ...times, hint,
      rev: this.queue.revs.get(item.item) ?? item.rev,
    });
    if (what === 'mask') this.masking.forget(item);
    this.tell(this.said(past));
    this.fill();
  }

  said({what, class: id}) {
    return what === 'class' ? this.palette.name(id) : SAID[what];
  }

  tell(text) {
    const dot = $('last');
    dot.textContent = `Last answer: ${text}`;
    const at = this.current;
    say(at ? `${text}. Next: ${where(at, this.media.ready(at))}` : text);
  }

  // --- taking back ---

  undo() {
    const past = this.history.pop();
    if (!past) {
      this.outbox.add({what: 'undo', item: null, client: uuid()});
      return;
    }
    if (this.current?.answer === 'mask') this.masking.keep();
    const {item} = past;
    item.rev = this.queue.revs.get(item.item) ?? item.rev;
    this.redo = past.labels;
    this.present(item);
    this.redo = null;
    $('last').textContent = `Taken back: ${this.said(past)}`;
    say(`Taken back: ${this.said(past)}`);
    if (this.outbox.cancel(past.client)) return;
    const {what: of} = past;
    this.outbox.add({what: 'undo', of, item: item.item, client: uuid()});
  }

  sent(entry, reply) {
    this.on.reached();
    if (entry.what !== 'undo') {
      this.on.counted(reply.answered);
      this.moved(entry.item, reply.rev);
      if (!this.coming) this.fill();
      return;
    }
    const {item, was} = reply;
    if (item) {
      if (was?.what !== 'skip') this.on.counted(null);
      this.moved(item.item, item.rev);
    }
    if (item?.item === entry.item) return;
    if (!item) {
      toast('There is nothing more to undo.');
      return;
    }
    // The server took back another answer: one of an earlier visit.
    if (this.current?.item === entry.item) this.current = null;
    if (entry.item !== null) this.queue.remove(entry.item);
    this.present(item);
    const text = was ? `Taken back: ${this.said(was)}` : 'Taken back';
    $('last').textContent = text;
    say(text);
  }

  moved(item, rev) {
    this.queue.moved(item, rev);
    this.outbox.moved(item, rev);
    if (this.current?.item === item) this.current.rev = rev;
  }

  answerRefused(entry, error) {
    const at = this.history.findIndex((past) => past.client === entry.client);
    const [past] = at < 0 ? [] : this.history.splice(at, 1);
    const {standing, rev} = error.body;
    if (error.status === 410 || error.status === 423) {
      if (entry.what !== 'undo') {
        toast(error.status === 410
          ? 'An answer came too late: another round is asked now.'
          : 'An answer came too late: the round is closing.');
      }
      this.on.refused(error);
    } else if (standing) {
      this.moved(entry.item, rev);
      this.queue.remove(entry.item);
      const who = standing.who === this.session.annotator
        ? 'You have answered this in another tab'
        : `${standing.who} has answered this already`;
      const said = standing.what ? `: ${this.said(standing)}` : '';
      toast(`${who}${said}. Your answer is not counted.`);
    } else if (error.body.full) {
      this.moved(entry.item, rev);
      this.queue.remove(entry.item);
      toast('Enough others have answered this. Your answer is not counted.');
    } else if (entry.what === 'undo') {
      toast(error.message);
    } else {
      if (rev !== undefined) this.moved(entry.item, rev);
      toast(`${error.message}. The question comes back.`);
      this.masking.restore(entry, entry.labels);
      if (past) this.queue.putBack({...past.item, rev: rev ?? past.item.rev});
    }
    this.next();
    this.fill();
  }
}

function question({kind, answer}) {
  if (answer === 'mask') {
    return kind === 'image' ? 'Paint the class of every pixel.'
      : 'Paint the class of every pixel in the outline.';
  }
  if (kind === 'pixel') return 'Which class is the pixel in the cross?';
  if (kind === 'region') {
    return 'Which class covers most of the outlined region?';
  }
  return 'Which class is this image?';
}

function where({image, kind, box, size, skipped}, media) {
  const place = kind === 'pixel' ? `row ${box[0]}, column ${box[1]}`
    : kind === 'region' ? `${media?.region?.count ?? ''} pixels`
      : `${size[1]} × ${size[0]}`;
  const name = image.split('/').pop(); // its folder is of no use here
  return `${name} · ${place}${skipped ? ' · skipped before' : ''}`;
}

// The page's session: which round is asked, what is shown, where keys go.

import {getJson, post, Refused, sleep, Unreachable, uuid} from './api.js';
import {Asking} from './asking.js';
import {Keys} from './keys.js';
import {listen} from './gestures.js';
import {
  $, banner, confirmed, paintPicture, Palette, say, showHelp, showProgress,
  toast,
} from './panels.js';
import {Stage} from './stage.js';
import {drafts, tabName} from './store.js';

const POLL = {asking: 3000, else: 2000}; // ms
const ANSWERS = ['skip', 'void', 'cant_tell', 'accept', 'send'];
const page = document.body.dataset;

class App {
  constructor() {
    this.tab = tabName(uuid);
    this.stage = new Stage($('crop'), $('context'));
    this.session = null;
    this.asking = null; // the round that is asked now
    this.entering = false;
    listen($('crop'), this.stage);
    addEventListener('keydown', (event) => this.keyDown(event));
    addEventListener('keyup', (event) => this.keyUp(event));
    addEventListener('blur', () => this.fill(false));
    addEventListener('online', () => this.lookNow?.());
    addEventListener('click', (event) => this.click(event));
    addEventListener('pointerdown', (event) => {
      if (event.target.closest('[data-hold]')) this.fill(true);
    });
    addEventListener('pointerup', () => this.fill(false));
    addEventListener('pointercancel', () => this.fill(false));
    this.watch();
  }

  // Follow the server for as long as the page is open.
  async watch() {
    for (;;) {
      try {
        if (!this.session) await this.enter();
        else this.follow(await getJson('/api/progress'));
        this.reached();
      } catch (error) {
        if (error instanceof Unreachable) this.lose();
        else if (error instanceof Refused) this.refused(error);
        else throw error;
      }
      if (this.progress?.state === 'asking') this.asking?.fill();
      await Promise.race([
        sleep(page.state === 'asking' ? POLL.asking : POLL.else),
        new Promise((done) => { this.lookNow = done; }),
      ]);
    }
  }

  async enter() {
    if (this.entering) return;
    this.entering = true;
    try {
      const session = await getJson('/api/session');
      const progress = await getJson('/api/progress');
      const former = this.session;
      this.session = session;
      if (former?.request !== session.request || !this.asking) {
        this.asking?.stop();
        this.asking = null;
        this.begin(session, former);
      }
      this.follow(progress);
    } finally {
      this.entering = false;
    }
  }

  begin(session, former) {
    this.palette = new Palette(session.classes, (one, event) =>
      this.asking?.classChosen(one, event.timeStamp));
    this.keys = new Keys(session.classes);
    paintPicture(session.classes);
    page.round = session.round ?? '';
    page.request = session.request ?? '';
    page.suggest = session.suggest ?? '';
    if (!session.request) return;
    if (former?.request) say(`Round ${session.round} is asked now.`);
    drafts.keepOnly(session.folder, session.request);
    this.asking = new Asking(session, this.tab, this.stage, this.palette, {
      changed: () => this.refresh(),
      refused: (error) => this.refused(error),
      reached: () => this.reached(),
      counted: (answered) => {
        this.progress.answered = answered ?? this.progress.answered - 1;
      },
    });
    this.asking.hints.hide(Boolean(this.hidden));
  }

  // Another state or round begins with the reply that tells of it.
  follow(progress) {
    this.progress = progress;
    if ((progress.request ?? null) !== (this.session.request ?? null)) {
      if (!this.entering) this.again();
      else this.progress = {...progress, state: 'training'};
    }
    this.refresh();
  }

  again() {
    this.enter().catch(() => this.lookNow?.());
  }

  refused(error) {
    if (error.status === 401) this.setState('signed-out');
    else if (error.status === 410) this.again();
    else if (error.status === 423) this.lookNow?.();
    else toast(`${error.message}`);
  }

  lose() {
    this.lost = true;
    this.showBanner();
  }

  reached() {
    this.lost = false;
    this.showBanner();
  }

  showBanner() {
    const waiting = this.asking?.outbox.waiting ?? 0;
    const offline = this.lost || this.asking?.outbox.offline;
    page.online = !offline;
    const answers = waiting === 1
      ? '1 answer waits' : `${waiting} answers wait`;
    banner(!offline ? '' : waiting
      ? `Offline. ${answers} here, and will be sent when the server is back.`
      : 'Offline. The page goes on when the server is back.');
  }

  refresh() {
    const {asking, progress, session} = this;
    const waiting = asking?.outbox.waiting ?? 0;
    if (!asking || asking.outbox.opened) page.waiting = waiting;
    this.showBanner();
    if (!progress) return;
    showProgress(session, progress, asking?.unsentAnswers ?? 0);
    const close = $('close'); // a mailed page has none
    if (close) {
      close.disabled = progress.state !== 'asking' || !progress.answered;
    }
    if (page.state === 'signed-out') return;
    if (progress.state !== 'asking') this.setState(progress.state);
    else if (asking?.current || asking?.coming) this.setState('asking');
    else if (asking?.outbox.waiting) this.setState('saving');
    else if (asking?.queue.open === null) this.setState('starting');
    else if (asking?.queue.open) this.setState('waiting');
    else this.setState('complete');
  }

  setState(state) {
    const {progress, session} = this;
    if (state !== 'asking') this.asking?.leave();
    const round = session?.round ?? '';
    const counts = progress
      ? `${progress.answered} of ${progress.total} answered, ` +
        `${progress.mine} by you.` : '';
    const texts = {
      starting: ['Opening the questions', '', ''],
      saving: ['Saving your answers', '', ''],
      waiting: this.waits(counts),
      complete: [`Round ${round} is complete`,
        'Thank you. The model trains next; until then you can still undo.',
        counts],
      closing: ['The round is closing',
        'Answers are being committed; then the model trains.', counts],
      training: ['The model is training',
        'The next questions come by themselves. You can leave this page open.',
        round === '' ? '' : `Round ${round}: ${counts}`],
      done: ['All rounds are done',
        'There is nothing more to answer. Thank you.', ''],
      'signed-out': ['This page is no longer signed in',
        'Open the address that “segal annotate” printed. Answers that were ' +
        'not sent are kept in this browser.', ''],
      ...session?.words,
    };
    if (texts[state]) {
      const [title, text, more] = texts[state];
      if (page.state !== state) {
        say(`${title}. ${text}`);
        this.lookNow?.(); // counts of what was just answered
      }
      $('rest-title').textContent = title;
      $('rest-text').textContent = text;
      $('rest-more').textContent = more;
      $('rest-undo').hidden = state !== 'complete' && state !== 'waiting';
    }
    page.state = state;
  }

  // What somebody reads who has nothing to answer while others have.
  waits(counts) {
    if (this.session?.role === 'reviewer') {
      return ['Nothing to decide now',
        'Where people disagree, it comes here by itself.',
        `${this.progress?.mine ?? 0} decided by you.`];
    }
    if (this.progress?.yours === 0) {
      return ['You have answered all that is asked of you',
        'Others are still at work. What they leave comes here by itself.',
        `${this.progress.mine} answered by you.`];
    }
    return ['The last questions are with others',
      'They come here by themselves if nobody answers them.', counts];
  }

  // --- keys and buttons ---

  keyDown(event) {
    if (document.querySelector('dialog[open]') || !this.keys) return;
    const onButton = event.target.closest('button, progress, a');
    const presses = event.key === ' ' || event.key === 'Enter';
    if (onButton && presses && onButton.matches(':focus-visible')) return;
    if (event.key === 'Escape') this.asking?.painter.dropPolygon?.();
    const {answer} = this.asking?.current ?? {answer: 'class'};
    const found = this.keys.read(event, answer);
    if (!found) return;
    event.preventDefault();
    const holds = ['zoom_in', 'zoom_out', 'thinner', 'thicker', 'undo_stroke'];
    if (event.repeat && !found.arrow && !holds.includes(found.does)) return;
    if (found.class) {
      this.asking?.classChosen(found.class, event.timeStamp);
    } else if (found.arrow) {
      this.asking?.painter.step(...found.arrow, found.far);
    } else if (found.does === 'hide') {
      this.hiddenSince = event.timeStamp;
      this.hide(!this.hidden);
    } else if (found.does === 'fill') {
      this.fill(true);
    } else {
      this.do(found.does, event.timeStamp);
    }
  }

  keyUp(event) {
    const key = event.key.toLowerCase();
    if (key === 'f') this.fill(false);
    // Held for long: marks come back with the key. Pressed: they are switched.
    if (key === 'h' && event.timeStamp - this.hiddenSince > 300) {
      this.hide(!this.hidden);
    }
  }

  click(event) {
    const button = event.target.closest('button');
    if (!button || button.disabled) return;
    // After a pointer, keys belong to the question again.
    if (event.detail && !button.closest('dialog')) button.blur();
    const {do: does} = button.dataset;
    if (does === 'hide') this.hide(!this.hidden);
    else if (does && (event.detail < 2 || !ANSWERS.includes(does))) {
      this.do(does, event.timeStamp);
    }
  }

  hide(hidden) {
    this.hidden = hidden;
    $('hide').setAttribute('aria-pressed', String(hidden));
    this.stage.marks = !hidden;
    this.asking?.hints.hide(hidden);
    this.stage.draw();
  }

  fill(filled) {
    if (this.stage.filled === filled) return;
    this.stage.filled = filled;
    this.stage.draw();
  }

  do(what, when) {
    if (what === 'help') {
      showHelp(
        this.asking?.current?.answer ?? 'class', this.session?.classes ?? []);
    } else if (what === 'zoom_in') this.stage.zoom(1);
    else if (what === 'zoom_out') this.stage.zoom(-1);
    else if (what === 'close') this.close();
    else if (this.progress?.state === 'asking') this.asking?.do(what, when);
  }

  async close() {
    const {answered, total} = this.progress;
    const yes = await confirmed({
      title: 'Train on what is answered?',
      text: `${answered} of ${total} questions have an answer. The others ` +
        'are not asked in this round any more; they stay unlabelled and ' +
        'cost nothing. This cannot be undone.',
      yes: 'Train now', no: 'Go on answering',
    });
    if (!yes) return;
    for (let i = 0; i < 20 && this.asking.outbox.waiting; i++) await sleep(100);
    if (this.asking.outbox.waiting) {
      toast('Some answers are not saved yet. Try again when they are.');
      return;
    }
    try {
      await post('/api/close', {request: this.session.request});
    } catch (error) {
      toast(error instanceof Unreachable
        ? 'The server was not reached: nothing is closed.' : error.message);
    }
    this.lookNow?.();
  }
}

new App();

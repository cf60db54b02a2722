// What stands around the picture: classes, progress, notes, dialogs.

import {KEYS} from './keys.js';
import {NONE} from './mask.js';

export const $ = (id) => document.getElementById(id);

export function element(name, content = {}, ...children) {
  const made = Object.assign(document.createElement(name), content);
  made.append(...children);
  return made;
}

// Names and colours of the classes, each a button with its key.
export class Palette {
  constructor(classes, choose) {
    this.classes = classes;
    this.buttons = new Map();
    $('classes').replaceChildren(...classes.map((one) => {
      const swatch = element('span', {className: 'swatch'});
      swatch.style.background = one.colour;
      swatch.ariaHidden = 'true';
      const button = element('button', {type: 'button', className: 'class'},
        swatch, element('kbd', {hidden: !one.key}, one.key.toUpperCase()),
        element('span', {className: 'name'}, one.name),
        element('span', {className: 'likely', ariaHidden: 'true'}),
        element('span', {className: 'share'}));
      button.dataset.class = one.id;
      button.title = one.name;
      button.addEventListener('click', (event) => {
        if (event.detail < 2) choose(one, event); // a double click is one
      });
      this.buttons.set(one.id, button);
      return button;
    }));
    $('classes').dataset.many = classes.length > 12;
  }

  name(id) {
    return this.classes.find((one) => one.id === id)?.name ?? 'no class';
  }

  colour(id) {
    return this.classes.find((one) => one.id === id)?.colour;
  }

  flash(id) {
    const button = this.buttons.get(id);
    button?.getAnimations().forEach((animation) => animation.cancel());
    button?.animate([{filter: 'brightness(1.35)'}, {filter: 'none'}], 220);
  }

  // Mark likely classes, the likeliest first; preselect that one.
  suggest(ids, preselected) {
    for (const [own, button] of this.buttons) {
      const at = ids.indexOf(own);
      if (at < 0) delete button.dataset.likely;
      else button.dataset.likely = at + 1;
      button.classList.toggle('preselected', own === preselected);
      button.title = this.name(own) + (at < 0 ? '' : ' (likely)');
      button.querySelector('.likely').textContent =
        own === preselected ? '⏎' : at < 0 ? '' : '•'.repeat(3 - at);
    }
  }

  // Which class is painted with; null: an item that gets one class.
  choose(id) {
    for (const [own, button] of this.buttons) {
      if (id === null) button.removeAttribute('aria-pressed');
      else button.setAttribute('aria-pressed', String(own === id));
    }
  }

  // Shares of a mask beside the names; null: none.
  shares(mask) {
    for (const [id, button] of this.buttons) {
      const share = mask ? mask.counts[id] / mask.asked : 0;
      button.querySelector('.share').textContent = share ? percent(share) : '';
    }
  }
}

export function percent(share) {
  if (share > 0 && share < 0.01) return '<1 %';
  if (share < 1 && share > 0.99) return '99 %';
  return `${Math.round(share * 100)} %`;
}

export function span(seconds) {
  if (seconds < 60) return 'less than a minute';
  const minutes = Math.round(seconds / 60);
  if (minutes < 60) return `${minutes} min`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

export function showProgress(session, progress, waiting) {
  const answered = Math.min(progress.total, progress.answered + waiting);
  $('experiment').textContent = session.experiment;
  $('round').textContent = session.round === null || session.round === undefined
    ? '' : `Round ${session.round}`;
  $('meter').max = progress.total || 1;
  $('meter').value = answered;
  $('counts').textContent = progress.total
    ? `${answered} of ${progress.total}` : '';
  const pace = [];
  if (progress.seconds_per_answer) {
    pace.push(`${progress.seconds_per_answer.toFixed(1)} s each`);
  }
  if (progress.seconds_left && answered < progress.total) {
    pace.push(`${span(progress.seconds_left)} left`);
  }
  $('pace').textContent = pace.join(' · ');
}

export function showMask(painter, palette) {
  const {mask} = painter;
  palette.shares(mask);
  $('share').value = mask.share;
  $('share-text').textContent = `${percent(mask.share)} painted`;
  $('size').textContent = `${painter.size} px`;
  $('undo-stroke').disabled = !mask.former.length && !painter.corners.length;
  for (const button of document.querySelectorAll('[data-tool]')) {
    button.setAttribute(
      'aria-pressed', String(button.dataset.do === painter.tool));
    button.disabled = button.dataset.do === 'superpixel' && !painter.ids;
  }
}

export function showUnder(label, palette) {
  $('under').textContent = label === null ? ''
    : `here: ${label === NONE ? 'unpainted' : palette.name(label)}`;
}

export function toast(text, seconds = 6) {
  const note = element('p', {className: 'toast'}, text);
  $('toasts').append(note);
  while ($('toasts').children.length > 3) $('toasts').firstChild.remove();
  setTimeout(() => note.remove(), seconds * 1000);
}

export function say(text) {
  $('said').textContent = text;
}

export function banner(text) {
  if ($('banner').textContent !== text) $('banner').textContent = text;
  $('banner').hidden = !text;
}

// A row for each key that counts for these items.
export function showHelp(answer, classes) {
  const row = (key, text) => element('div', {},
    element('dt', {}, element('kbd', {}, key)), element('dd', {}, text));
  const own = KEYS.filter((one) => (one.on === 'all' || one.on === answer) &&
    (!one.only || one.only === document.body.dataset.suggest));
  $('help-keys').replaceChildren(
    element('dl', {}, ...own.map((one) => row(one.shown, one.says))),
    element('dl', {}, ...classes.map((one) =>
      row(one.key ? one.key.toUpperCase() : 'click', one.name))));
  $('help').showModal();
}

// Whether the person says yes; Escape is no.
export function confirmed({title, text, yes, no}) {
  $('confirm-title').textContent = title;
  $('confirm-text').textContent = text;
  $('confirm-yes').textContent = yes;
  $('confirm-no').textContent = no;
  const dialog = $('confirm');
  dialog.returnValue = 'no';
  dialog.showModal();
  return new Promise((done) => {
    dialog.addEventListener(
      'close', () => done(dialog.returnValue === 'yes'), {once: true});
  });
}

// Show squares in the colours of the classes that light up and go, slowly.
export function paintPicture(classes) {
  const [rows, columns] = [6, 12];
  const colours = classes.map((one) => one.colour);
  if (!colours.length) colours.push('#7fa8a5'); // no pool is known yet
  $('picture').replaceChildren(...Array.from(
    {length: rows * columns}, (_, i) => {
      const [y, x] = [Math.floor(i / columns), i % columns];
      const wave = Math.sin(x * 0.9 + y * 1.7) + Math.sin(y * 1.3 - x * 0.4);
      const at = Math.floor((wave + 2) / 4 * colours.length) % colours.length;
      const square = element('i');
      square.style.background = colours[at];
      square.style.animationDelay = `${(-(x + y * 0.6 + wave) * 0.45 - 9)}s`;
      return square;
    }));
}

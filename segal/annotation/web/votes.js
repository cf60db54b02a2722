// What people answered, without their names, for a reviewer to decide.

import {getBlob} from './api.js';
import {$, element} from './panels.js';
import {decodeGrey} from './png.js';

const WORDS = {void: 'no class', cant_tell: 'can’t tell'};

export class Votes {
  constructor({request, role}, palette, masking) {
    Object.assign(this, {request, palette, masking});
    document.body.dataset.role = role ?? 'annotator';
  }

  show(item) {
    const votes = item.votes ?? [];
    $('votes').hidden = !votes.length;
    $('votes-title').textContent = item.answer === 'mask'
      ? 'They disagree. Go on from one of them, or paint anew:'
      : 'They disagree. Decide by the same keys:';
    $('votes-list').replaceChildren(
      ...votes.map((vote) => this.draw(item, vote)));
  }

  draw(item, vote) {
    const letter = element('b', {}, vote.letter);
    if (vote.what === 'mask') {
      const button = element('button', {type: 'button'}, letter, ' painted');
      button.title = `Go on from what ${vote.letter} painted`;
      button.addEventListener('click', () => this.load(item, vote.letter));
      return button;
    }
    const swatch = element('span', {className: 'swatch', ariaHidden: 'true'});
    const colour = this.palette.colour(vote.class);
    if (colour) swatch.style.background = colour;
    const text = vote.what === 'class'
      ? this.palette.name(vote.class) : WORDS[vote.what];
    return element('span', {className: 'vote'}, letter, swatch, text);
  }

  async load(item, letter) {
    const blob = await getBlob(
      item.item, `votes/${letter}`, this.request).catch(() => null);
    const {painter} = this.masking;
    if (!blob || painter.item !== item) return;
    const {values} = await decodeGrey(blob);
    if (painter.item === item) painter.load(values);
  }
}

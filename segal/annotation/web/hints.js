// Likely classes of the item on the screen, where they are suggested.

import {$} from './panels.js';

export class Hints {
  constructor(palette) {
    this.palette = palette;
    this.hidden = false;
    this.show(null);
  }

  // suggest: 'order' marks likely classes, 'prefill' preselects the likeliest.
  show(item, suggest = '') {
    this.classes = item?.hint ?? [];
    this.prefills = suggest === 'prefill' && this.classes.length > 0;
    this.seen = false; // whether the person has seen them
    this.draw();
  }

  hide(hidden) {
    this.hidden = hidden;
    this.draw();
  }

  draw() {
    const shown = this.hidden ? [] : this.classes;
    this.seen ||= shown.length > 0;
    this.palette.suggest(shown, this.preselected);
    $('accept').hidden = this.preselected === null;
    if (this.preselected !== null) {
      $('accept-text').textContent = this.palette.name(this.preselected);
    }
  }

  // The class that Enter takes; null: none.
  get preselected() {
    return this.prefills && !this.hidden ? this.classes[0] : null;
  }

  // What an answer was given in the sight of; null: nothing.
  get hint() {
    return this.seen ? this.classes[0] : null;
  }
}

// Keys of the page and what they do; classes have theirs from the server.

// on: 'all', 'class' (one class for the item) or 'mask' (painted).
export const KEYS = [
  {on: 'all', key: ' ', shown: 'Space', does: 'skip',
    says: 'Skip: ask me later'},
  {on: 'all', key: 'v', shown: 'V', does: 'void',
    says: 'Void: none of the classes'},
  {on: 'all', key: 'x', shown: 'X', does: 'cant_tell', says: 'I can’t tell'},
  {on: 'all', key: 'backspace', shown: '⌫', does: 'undo',
    says: 'Undo my last answer, and the ones before'},
  {on: 'all', key: '+', shown: '+', does: 'zoom_in', says: 'Zoom in'},
  {on: 'all', key: '-', shown: '−', does: 'zoom_out', says: 'Zoom out'},
  {on: 'all', key: 'h', shown: 'H', does: 'hide',
    says: 'Hide marks and colours: hold, or press to switch'},
  {on: 'class', key: 'enter', shown: 'Enter', does: 'accept',
    says: 'Accept the class that is preselected', only: 'prefill'},
  {on: 'class', key: 'f', shown: 'F', does: 'fill',
    says: 'Fill the outlined region while held'},
  {on: 'mask', key: 'b', shown: 'B', does: 'brush', says: 'Brush'},
  {on: 'mask', key: 'e', shown: 'E', does: 'eraser', says: 'Eraser'},
  {on: 'mask', key: 'p', shown: 'P', does: 'polygon',
    says: 'Polygon: click the corners, Enter closes it, Esc drops it'},
  {on: 'mask', key: 'u', shown: 'U', does: 'superpixel',
    says: 'Superpixel: fill patches of one look'},
  {on: 'mask', key: 'f', shown: 'F', does: 'fill_rest',
    says: 'Fill all that is unpainted'},
  {on: 'mask', key: '[', shown: '[', does: 'thinner', says: 'Smaller brush'},
  {on: 'mask', key: ']', shown: ']', does: 'thicker', says: 'Larger brush'},
  {on: 'mask', key: 'z', shown: 'Z', does: 'undo_stroke',
    says: 'Undo a stroke'},
  {on: 'mask', key: '.', shown: '← ↑ → ↓ .', does: 'dab',
    says: 'Move a cursor (Shift: by 10), and paint there'},
  {on: 'mask', key: 'enter', shown: 'Enter', does: 'send',
    says: 'Send the mask'},
  {on: 'all', key: '?', shown: '?', does: 'help', says: 'Show the keys'},
];

const SAME = {'=': '+', '_': '-', ',': '.', spacebar: ' '};
const ARROWS = {
  arrowup: [-1, 0], arrowdown: [1, 0], arrowleft: [0, -1], arrowright: [0, 1],
};

export class Keys {
  constructor(classes) {
    this.classes = new Map(classes.filter((c) => c.key)
      .map((c) => [c.key.toLowerCase(), c]));
  }

  // What a key asks for: {class}, {does} or {arrow}; null: nothing.
  read(event, answer) {
    if (event.ctrlKey || event.metaKey || event.altKey) return null;
    let key = event.key.toLowerCase();
    if (ARROWS[key]) {
      if (answer !== 'mask') return null;
      return {arrow: ARROWS[key], far: event.shiftKey};
    }
    const digit = /^(?:Digit|Numpad)(\d)$/.exec(event.code)?.[1];
    let found = this.classes.get(key);
    // A French keyboard has its digits under Shift: the place counts.
    if (!found && digit && key !== '-' && !event.shiftKey) {
      found = this.classes.get(digit);
    }
    if (found) return {class: found};
    key = SAME[key] ?? key;
    return KEYS.find((one) =>
      one.key === key && (one.on === 'all' || one.on === answer)) ?? null;
  }
}

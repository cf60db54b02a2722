// What a person did on a mailed page: what stands, what is asked next.
//
// The rules are those of the server's state.py and queue.py.

const ANSWERS = ['class', 'mask', 'void', 'cant_tell'];
const LONGEST = {mask: 3600, other: 60}; // seconds of one answer that count
const RECENT = 50; // answers that the pace is taken from
const FEWEST = 3;

export class Record {
  // items: in the order in which they are shown.
  constructor(items) {
    this.items = new Map(items.map((one) => [one.item, one]));
    this.clients = new Map(); // client -> event
    this.last = new Map(); // item -> its last event
    this.undone = new Map(); // item -> the answer that was taken back
    this.stack = []; // answers and skips that may stand, youngest last
    this.seconds = [];
    this.given = 0; // events that the last file holds
  }

  rev(item) {
    return (this.last.get(item) ?? this.items.get(item)).rev;
  }

  standing(item) {
    const last = this.last.get(item);
    return last && ANSWERS.includes(last.what) ? last : null;
  }

  // Whether an event of an earlier visit counts. The same round may be asked
  // anew, on another page with the same store.
  knows({item, base, what}) {
    return what === 'given' || this.items.get(item)?.rev === base;
  }

  // event: {item, base, rev, what, class, mask, ms, hidden_ms, client,
  // at}, where base is the item's revision on the page; or {what: 'given'}:
  // all before it is in a file.
  apply(event) {
    if (event.what === 'given') {
      this.given = this.clients.size;
      return;
    }
    const {item, what} = event;
    const before = this.last.get(item);
    event.n = this.clients.size + 1;
    this.clients.set(event.client, event);
    this.undone.delete(item);
    if (what === 'undo') {
      if (this.undoable() === item) this.stack.pop();
      if (before) this.undone.set(item, before);
    } else {
      this.stack.push(event);
    }
    this.last.set(item, event);
    if (event.ms !== undefined && event.ms !== null) {
      const most = LONGEST[what] ?? LONGEST.other;
      this.seconds.push(Math.min((event.ms - event.hidden_ms) / 1000, most));
    }
  }

  // The item that was answered or skipped last; null: there is none.
  undoable() {
    const {stack, last} = this;
    while (stack.length && last.get(stack.at(-1).item) !== stack.at(-1)) {
      stack.pop();
    }
    return stack.at(-1)?.item ?? null;
  }

  shown(item) {
    const one = this.items.get(item);
    const last = this.last.get(item);
    const skipped = last ? last.what === 'skip' : one.skipped;
    return {...one, rev: this.rev(item), skipped};
  }

  // The open items; those that were skipped here come last.
  open() {
    const open = [...this.items.keys()].filter((one) => !this.standing(one));
    const when = (one) => {
      const last = this.last.get(one);
      return last?.what === 'skip' ? last.n : 0;
    };
    return open.sort((a, b) => when(a) - when(b));
  }

  // All answers that stand.
  answers() {
    return [...this.last.keys()].sort((a, b) => a - b)
      .map((item) => this.standing(item)).filter(Boolean);
  }

  // How many of them are in no file yet.
  get fresh() {
    return this.answers().filter((event) => event.n > this.given).length;
  }

  progress() {
    const total = this.items.size;
    const open = this.open();
    const recent = this.seconds.slice(-RECENT).sort((a, b) => a - b);
    const [low, high] = [0.5, 0].map((by) =>
      recent[Math.floor(recent.length / 2 - by)]);
    const each = recent.length < FEWEST ? null : (low + high) / 2;
    return {
      total, answered: total - open.length, mine: total - open.length,
      skipped: open.filter((one) => this.shown(one).skipped).length,
      seconds_per_answer: each,
      seconds_left: each === null ? null : each * open.length,
      undoable: this.undoable() !== null,
    };
  }
}

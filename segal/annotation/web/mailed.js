// A mailed page: how it begins, and how its answers are given back.

import './app.js';
import {KEYS} from './keys.js';
import {$, element, say, toast} from './panels.js';
import {
  begin, changed, file, given, record, session, sleep,
} from './source.js';

const page = document.body.dataset;
const SAVE = /^(Mac|iP)/.test(navigator.platform) ? '⌘ S' : 'Ctrl S';

KEYS.push({on: 'all', shown: SAVE, says: 'Give back: save my answers'});
document.querySelectorAll('.save-key').forEach((key) => {
  key.textContent = SAVE;
});

// The answers as a file for the person who sent the page, at any time.
async function give() {
  if (document.querySelector('dialog[open]')) return;
  for (let i = 0; i < 100 && Number(page.waiting); i++) await sleep(20);
  const count = record.answers().length;
  if (!count) {
    toast('Nothing is answered yet: there is nothing to give back.');
    return;
  }
  const {name, json} = file();
  const blob = new Blob([json], {type: 'application/json'});
  const link = element('a', {href: URL.createObjectURL(blob), download: name});
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  await given();
  const {answered, total} = record.progress();
  $('given-name').textContent = name;
  $('given-count').textContent = answered < total
    ? `${answered} of ${total} answered. Go on whenever you like, and give ` +
      'back again: the newest file holds everything.'
    : `All ${total} are answered. Thank you.`;
  $('given-on').textContent = answered < total ? 'Go on' : 'Close';
  $('given').showModal();
  say(`Saved ${name}.`);
}

function show() {
  const {fresh} = record;
  $('fresh').textContent = fresh || '';
  $('fresh').title = fresh ? `${fresh} answers are in no file yet` : '';
  $('unkept').hidden = page.kept !== 'false';
  const {answered, total} = record.progress();
  $('begin-text').textContent = answered ? 'Go on' : 'Begin';
  $('so-far').textContent = !answered ? ''
    : `${answered} of ${total} are answered already.`;
}

changed.addEventListener('change', show);

addEventListener('click', (event) => {
  const button = event.target.closest('button');
  if (button?.matches('[data-give]')) give();
  if (button?.id === 'begin') begin();
});

addEventListener('keydown', (event) => {
  if (page.state === 'welcome' && event.key === 'Enter') {
    event.preventDefault();
    begin();
  }
  const {ctrlKey, metaKey, altKey, shiftKey, key, repeat} = event;
  const only = (ctrlKey || metaKey) && !altKey && !shiftKey;
  if (!only || key.toLowerCase() !== 's') return;
  event.preventDefault();
  if (!repeat) give();
});

addEventListener('beforeunload', (event) => {
  if (page.kept === 'false' && record.fresh) event.preventDefault();
});

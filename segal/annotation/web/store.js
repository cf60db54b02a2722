// What must outlive this page: unsent answers, and masks half painted.
//
// Kept in IndexedDB. A browser that refuses it (a private window) still works;
// then only a reload without a connection loses what was not sent. A mailed
// page names a store of its own: all mailed pages may be of one origin.

const NAME = document.body.dataset.store || 'segal-annotation';

function promised(request) {
  return new Promise((done, failed) => {
    request.onsuccess = () => done(request.result);
    request.onerror = () => failed(request.error);
  });
}

let opened;

function open() {
  opened ??= new Promise((done) => {
    let request;
    try {
      request = indexedDB.open(NAME, 1);
    } catch {
      return done(null);
    }
    request.onupgradeneeded = () => {
      request.result.createObjectStore('unsent', {keyPath: 'client'});
      request.result.createObjectStore('drafts');
      request.result.createObjectStore('events', {autoIncrement: true});
    };
    request.onsuccess = () => done(request.result);
    request.onerror = request.onblocked = () => done(null);
  });
  return opened;
}

async function within(
  store, mode, act, otherwise = undefined, options = {},
) {
  const database = await open();
  if (!database) return otherwise;
  try {
    const transaction = database.transaction(store, mode, options);
    const committed = new Promise((done, failed) => {
      transaction.oncomplete = done;
      transaction.onabort = () => failed(transaction.error);
    });
    committed.catch(() => {}); // the request tells, too
    const result = await promised(act(transaction.objectStore(store)));
    await committed;
    return result;
  } catch (error) {
    console.warn('IndexedDB:', error);
    return otherwise;
  }
}

export const unsent = {
  all: () => within('unsent', 'readonly', (s) => s.getAll(), []),
  put: (entry) => within('unsent', 'readwrite', (s) => s.put(entry)),
  remove: (client) => within('unsent', 'readwrite', (s) => s.delete(client)),
};

export const drafts = {
  get: (key) => within('drafts', 'readonly', (s) => s.get(key)),
  put: (key, mask) => within('drafts', 'readwrite', (s) => s.put(mask, key)),
  remove: (key) => within('drafts', 'readwrite', (s) => s.delete(key)),
  // Drop those of a folder's other requests: nobody asks for them any more.
  keepOnly: async (folder, request) => {
    const keys = await within('drafts', 'readonly', (s) => s.getAllKeys(), []);
    const late = keys.filter((key) => key.startsWith(`${folder}/`) &&
      !key.startsWith(`${folder}/${request}/`));
    await Promise.all(late.map(drafts.remove));
  },
};

// What was answered on a mailed page, in order. null: nothing can be kept.
export const events = {
  all: () => within('events', 'readonly', (s) => s.getAll(), null),
  // On disk once it resolves; with null where it could not be written.
  add: (event) => within('events', 'readwrite', (s) => s.add(event), null,
    {durability: 'strict'}),
};

// One random name a tab, kept over a reload so that its leases are, too. A
// duplicated tab copies sessionStorage while its twin lives: it gets a new one.
export function tabName(fresh) {
  try {
    const closed = sessionStorage.getItem('closed');
    const name = (closed && sessionStorage.getItem('tab')) || fresh();
    sessionStorage.setItem('tab', name);
    sessionStorage.removeItem('closed');
    addEventListener('pagehide', () => sessionStorage.setItem('closed', '1'));
    addEventListener('pageshow', () => sessionStorage.removeItem('closed'));
    return name;
  } catch {
    return fresh(); // a page that may keep nothing
  }
}

// What a source of questions can do wrong, and small tools: shared by the
// server's (api.js) and a mailed page's (mailed.js).

// The source understood, and said no.
export class Refused extends Error {
  constructor(status, body) {
    super(body.error ?? `the server refused (${status})`);
    this.status = status;
    this.body = body;
  }
}

// The source was not reached, or failed: worth trying again.
export class Unreachable extends Error {}

export function sleep(ms) {
  return new Promise((done) => setTimeout(done, ms));
}

// A random version 4 UUID, also where the page has no secure context.
export function uuid() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = [...bytes].map((b) => b.toString(16).padStart(2, '0')).join('');
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

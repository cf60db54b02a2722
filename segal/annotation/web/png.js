// Read and write 8-bit grey PNGs with exact values, and read pixels of others.

const SIGNATURE = [137, 80, 78, 71, 13, 10, 26, 10];

const CRC = Uint32Array.from({length: 256}, (_, n) => {
  for (let bit = 0; bit < 8; bit++) {
    n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
  }
  return n >>> 0;
});

function crc32(bytes) {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = CRC[(crc ^ byte) & 0xff] ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}

// Length, name and data, CRC-32: one chunk of a PNG.
function chunk(name, data) {
  const bytes = new Uint8Array(12 + data.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, data.length);
  bytes.set([...name].map((letter) => letter.charCodeAt(0)), 4);
  bytes.set(data, 8);
  view.setUint32(8 + data.length, crc32(bytes.subarray(4, 8 + data.length)));
  return bytes;
}

async function deflate(bytes) {
  const stream = new Blob([bytes]).stream()
    .pipeThrough(new CompressionStream('deflate'));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

// values: Uint8Array (height * width), row-major. canvas.toBlob would write
// RGBA, and may change values on the way.
export async function encodePng(values, [height, width]) {
  const header = new Uint8Array(13);
  const view = new DataView(header.buffer);
  view.setUint32(0, width);
  view.setUint32(4, height);
  header.set([8, 0, 0, 0, 0], 8); // 8 bits, grey, deflate, no interlace
  const rows = new Uint8Array(height * (width + 1)); // a filter byte each: 0
  for (let y = 0; y < height; y++) {
    rows.set(values.subarray(y * width, (y + 1) * width), y * (width + 1) + 1);
  }
  const parts = [
    Uint8Array.from(SIGNATURE), chunk('IHDR', header),
    chunk('IDAT', await deflate(rows)), chunk('IEND', new Uint8Array(0)),
  ];
  return new Blob(parts, {type: 'image/png'});
}

// Exact RGBA values of an image without a colour profile.
async function pixels(blob) {
  const bitmap = await createImageBitmap(blob, {
    colorSpaceConversion: 'none', premultiplyAlpha: 'none',
  });
  const {width, height} = bitmap;
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext('2d', {willReadFrequently: true});
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  return {width, height, rgba: context.getImageData(0, 0, width, height).data};
}

export async function decodeGrey(blob) {
  const {width, height, rgba} = await pixels(blob);
  const values = new Uint8Array(width * height);
  for (let i = 0; i < values.length; i++) values[i] = rgba[4 * i];
  return {width, height, values};
}

// Superpixels: id = r * 65536 + g * 256 + b.
export async function decodeIds(blob) {
  const {width, height, rgba} = await pixels(blob);
  const values = new Uint32Array(width * height);
  for (let i = 0; i < values.length; i++) {
    values[i] = (rgba[4 * i] << 16) | (rgba[4 * i + 1] << 8) | rgba[4 * i + 2];
  }
  return {width, height, values};
}

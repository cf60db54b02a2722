// Pointers on the crop: strokes, moving the view, wheel and pinch.

const PINCH = 1.19; // ratio of distances that makes a zoom of half a step

export function listen(canvas, stage) {
  const touches = new Map(); // pointer id -> [y, x] on the canvas
  let moving = null;
  let pinch = null;

  const place = (event) => {
    const frame = canvas.getBoundingClientRect();
    const ratio = canvas.width / frame.width;
    return [
      (event.clientY - frame.top) * ratio, (event.clientX - frame.left) * ratio,
    ];
  };
  const onImage = ([y, x]) => {
    const {scale, top, left} = stage.view();
    return [(y - top) / scale, (x - left) / scale];
  };
  const painter = () =>
    stage.item?.answer === 'mask' && stage.painter?.mask && stage.painter;

  const spread = () => {
    const [a, b] = [...touches.values()];
    return {
      far: Math.hypot(a[0] - b[0], a[1] - b[1]),
      at: [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2],
    };
  };

  canvas.addEventListener('pointerdown', (event) => {
    if (!stage.item) return;
    event.preventDefault(); // keys belong to the question: no focus here
    canvas.setPointerCapture(event.pointerId);
    const at = place(event);
    touches.set(event.pointerId, at);
    if (touches.size === 2) {
      painter()?.cancel?.();
      moving = null;
      pinch = spread();
    } else if (painter() && event.button === 0 && touches.size === 1) {
      painter().start(onImage(at));
    } else {
      moving = at;
    }
  });

  canvas.addEventListener('pointermove', (event) => {
    if (!stage.item) return;
    const at = place(event);
    if (touches.has(event.pointerId)) touches.set(event.pointerId, at);
    if (pinch && touches.size === 2) {
      const now = spread();
      stage.move(now.at[0] - pinch.at[0], now.at[1] - pinch.at[1]);
      const ratio = now.far / pinch.far;
      const by = ratio > PINCH ? 0.5 : ratio < 1 / PINCH ? -0.5 : 0;
      if (by) stage.zoom(by, now.at);
      pinch = by ? now : {far: pinch.far, at: now.at};
    } else if (moving) {
      stage.move(at[0] - moving[0], at[1] - moving[1]);
      moving = at;
    } else if (painter()) {
      for (const step of event.getCoalescedEvents?.() ?? []) {
        painter().drag(onImage(place(step)));
      }
      painter().drag(onImage(at));
    }
  });

  const up = (event) => {
    touches.delete(event.pointerId);
    moving = null;
    if (touches.size < 2) pinch = null;
    if (painter()) painter().finish();
  };
  canvas.addEventListener('pointerup', up);
  canvas.addEventListener('pointercancel', up);
  canvas.addEventListener('pointerleave', () => {
    if (painter()) painter().hover(null);
  });
  canvas.addEventListener('contextmenu', (event) => event.preventDefault());
  canvas.addEventListener('dblclick', () => {
    if (painter()) painter().closePolygon();
  });
  canvas.addEventListener('wheel', (event) => {
    if (!stage.item || event.ctrlKey) return;
    event.preventDefault();
    stage.zoom(event.deltaY < 0 ? 0.5 : -0.5, place(event));
  }, {passive: false});
}

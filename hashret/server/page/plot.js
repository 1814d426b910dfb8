// Draws tens of thousands of points on a canvas, in one pass over the pixels' memory: asking the
// canvas for each point takes ten times as long.

const CLOSEST = 400; // times: at most so much of a zoom
const MARGIN = 0.04; // of the canvas, around all points

export class Plot {
  #canvas;
  #context;
  #pixels = new ImageData(1, 1);
  #words = new Uint32Array(1);
  #camera = { x: 0.5, y: 0.5, zoom: 1 };
  #waiting = false;
  #disc = { size: 0 };

  // x, y: where each point is, in 0..1; colours: 0xRRGGBB of each; faint: 1 for those in the
  // background; rings: the numbers of points with a ring; outline: corners of a lasso, in pixels
  points = { x: [], y: [], colours: [], faint: new Uint8Array(0) };
  rings = [];
  chosen = -1;
  outline = [];
  ink = "#000";
  accent = "#f00";

  constructor(canvas) {
    this.#canvas = canvas;
    this.#context = canvas.getContext("2d");
    new ResizeObserver(() => this.#fit()).observe(canvas);
  }

  get #ratio() {
    return Math.min(devicePixelRatio, 2);
  }

  #fit() {
    const width = Math.round(this.#canvas.clientWidth * this.#ratio);
    const height = Math.round(this.#canvas.clientHeight * this.#ratio);
    if (!width || !height) return;
    this.#canvas.width = width;
    this.#canvas.height = height;
    this.#pixels = this.#context.createImageData(width, height);
    this.#words = new Uint32Array(this.#pixels.data.buffer);
    this.#disc = { size: 0 };
    this.redraw();
  }

  // Draw with the next frame.
  redraw() {
    if (this.#waiting) return;
    this.#waiting = true;
    requestAnimationFrame(() => {
      this.#waiting = false;
      this.draw();
    });
  }

  // From 0..1 to pixels of the canvas: x * scale + left, y * scale + top.
  #view() {
    const { width, height } = this.#canvas;
    const { x, y, zoom } = this.#camera;
    const scale = Math.min(width, height) * (1 - 2 * MARGIN) * zoom;
    return { scale, left: width / 2 - x * scale, top: height / 2 - y * scale };
  }

  // A point's place in CSS pixels from the canvas's corner.
  placeOf(i) {
    const { scale, left, top } = this.#view();
    const { x, y } = this.points;
    return [(x[i] * scale + left) / this.#ratio, (y[i] * scale + top) / this.#ratio];
  }

  // The point nearest to a place, within so many CSS pixels; -1 if none is.
  nearest(atX, atY, within = 12) {
    const { scale, left, top } = this.#view();
    const { x, y, faint } = this.points;
    let found = -1;
    let least = (within * this.#ratio) ** 2;
    for (let i = 0; i < x.length; i++) {
      if (faint[i]) continue;
      const dx = x[i] * scale + left - atX * this.#ratio;
      const dy = y[i] * scale + top - atY * this.#ratio;
      if (dx * dx + dy * dy < least) [found, least] = [i, dx * dx + dy * dy];
    }
    return found;
  }

  // The numbers of the points for whose place, in CSS pixels, this is true.
  where(isWithin) {
    const found = [];
    for (let i = 0; i < this.points.x.length; i++) {
      if (!this.points.faint[i] && isWithin(...this.placeOf(i))) found.push(i);
    }
    return found;
  }

  inView() {
    const { clientWidth: width, clientHeight: height } = this.#canvas;
    return this.where((x, y) => x >= 0 && y >= 0 && x < width && y < height);
  }

  pan(dx, dy) {
    const { scale } = this.#view();
    this.#camera.x -= (dx * this.#ratio) / scale;
    this.#camera.y -= (dy * this.#ratio) / scale;
    this.redraw();
  }

  // Zoom by a factor; the place under (atX, atY), in CSS pixels, stays where it is.
  zoom(factor, atX = this.#canvas.clientWidth / 2, atY = this.#canvas.clientHeight / 2) {
    const before = this.#view();
    const camera = this.#camera;
    camera.zoom = Math.min(CLOSEST, Math.max(0.5, camera.zoom * factor));
    const ratio = this.#view().scale / before.scale;
    const towards = (1 - 1 / ratio) / before.scale;
    camera.x += (atX * this.#ratio - this.#canvas.width / 2) * towards;
    camera.y += (atY * this.#ratio - this.#canvas.height / 2) * towards;
    this.redraw();
  }

  reset() {
    this.#camera = { x: 0.5, y: 0.5, zoom: 1 };
    this.redraw();
  }

  // Points grow with the zoom and are smaller where there are more of them.
  #size() {
    const n = this.points.x.length || 1;
    const alone = Math.min(9, Math.max(3, 500 / Math.sqrt(n))) * this.#ratio;
    return Math.min(12 * this.#ratio, alone * Math.min(3, this.#camera.zoom ** 0.4));
  }

  // Offsets of the pixels of a disc, and how much of each it covers, of 256.
  #discOf(size) {
    if (this.#disc.size === size) return this.#disc;
    const reach = Math.ceil(size / 2);
    const offsets = [];
    const covers = [];
    for (let dy = -reach; dy <= reach; dy++) {
      for (let dx = -reach; dx <= reach; dx++) {
        const cover = Math.min(1, Math.max(0, size / 2 + 0.5 - Math.hypot(dx, dy)));
        if (cover < 0.06) continue;
        offsets.push(dy * this.#canvas.width + dx);
        covers.push(Math.round(256 * cover));
      }
    }
    this.#disc = { size, reach, offsets: Int32Array.from(offsets), covers: Int32Array.from(covers) };
    return this.#disc;
  }

  draw() {
    this.#words.fill(0);
    this.#points(1);
    this.#points(0);
    this.#context.putImageData(this.#pixels, 0, 0);
    this.#rings();
    this.#lasso();
  }

  #points(faint) {
    const { x, y, colours, faint: areFaint } = this.points;
    const { scale, left, top } = this.#view();
    const { reach, offsets, covers } = this.#discOf(Math.round(2 * this.#size()) / 2);
    const { width, height } = this.#canvas;
    for (let i = 0; i < x.length; i++) {
      if (areFaint[i] !== faint) continue;
      const px = (x[i] * scale + left) | 0;
      const py = (y[i] * scale + top) | 0;
      if (px < reach || py < reach || px >= width - reach || py >= height - reach) continue;
      this.#blend(py * width + px, colours[i], offsets, covers, faint ? 72 : 256);
    }
  }

  // Blend a disc into the pixels, which are 0xAABBGGRR in memory's order.
  #blend(centre, colour, offsets, covers, strength) {
    const words = this.#words;
    const red = colour >> 16;
    const green = (colour >> 8) & 255;
    const blue = colour & 255;
    const full = (0xff000000 | (blue << 16) | (green << 8) | red) >>> 0;
    for (let k = 0; k < offsets.length; k++) {
      const at = centre + offsets[k];
      const cover = (covers[k] * strength) >> 8;
      const there = words[at];
      if (cover >= 250) words[at] = full;
      else if (there >>> 24 < 32) words[at] = ((full & 0xffffff) | (Math.min(255, cover) << 24)) >>> 0;
      else {
        const rest = 256 - cover;
        const r = ((there & 255) * rest + red * cover) >> 8;
        const g = (((there >> 8) & 255) * rest + green * cover) >> 8;
        const b = (((there >> 16) & 255) * rest + blue * cover) >> 8;
        const a = Math.min(255, (there >>> 24) + ((255 - (there >>> 24)) * cover >> 8));
        words[at] = ((a << 24) | (b << 16) | (g << 8) | r) >>> 0;
      }
    }
  }

  #rings() {
    const context = this.#context;
    for (const [i, colour, radius] of [
      ...this.rings.map((one) => [one, this.accent, 7]),
      ...(this.chosen >= 0 ? [[this.chosen, this.ink, 9]] : []),
    ]) {
      const [x, y] = this.placeOf(i);
      context.lineWidth = 2.5 * this.#ratio;
      context.strokeStyle = colour;
      context.beginPath();
      context.arc(x * this.#ratio, y * this.#ratio, radius * this.#ratio, 0, 2 * Math.PI);
      context.stroke();
    }
  }

  #lasso() {
    if (this.outline.length < 2) return;
    const context = this.#context;
    context.lineWidth = 2 * this.#ratio;
    context.strokeStyle = this.ink;
    context.setLineDash([6 * this.#ratio, 4 * this.#ratio]);
    context.beginPath();
    for (const [x, y] of this.outline) context.lineTo(x * this.#ratio, y * this.#ratio);
    context.closePath();
    context.stroke();
    context.setLineDash([]);
  }
}

// Whether a place is within a polygon, by how often a line from it crosses the sides.
export function isWithin(corners, x, y) {
  let inside = false;
  corners.forEach(([x1, y1], i) => {
    const [x2, y2] = corners[(i + corners.length - 1) % corners.length];
    if (y1 > y !== y2 > y && x < ((x2 - x1) * (y - y1)) / (y2 - y1) + x1) inside = !inside;
  });
  return inside;
}

// Many lives on few pixels: each pixel gets the tensor that fills most of it, and an opacity by how full it is.

// Boyer and Moore's majority vote per pixel, weighted by the covered share of the pixel.
class Raster {
  constructor(width, height) {
    this.width = width;
    this.height = height;
    this.owner = new Int32Array(width * height).fill(-1);
    this.weight = new Float32Array(width * height);
    this.cover = new Float32Array(width * height);
  }

  // Adds a rectangle in pixels (fractions count) that belongs to `owner`.
  add(x0, x1, y0, y1, owner) {
    const left = Math.max(0, Math.floor(x0));
    const right = Math.min(this.width, Math.ceil(x1));
    const top = Math.max(0, Math.floor(y0));
    const bottom = Math.min(this.height, Math.ceil(y1));
    for (let x = left; x < right; x++) {
      const wide = Math.min(x1, x + 1) - Math.max(x0, x);
      for (let y = top; y < bottom; y++) {
        this.vote(y * this.width + x, wide * (Math.min(y1, y + 1) - Math.max(y0, y)), owner);
      }
    }
  }

  vote(cell, share, owner) {
    this.cover[cell] += share;
    if (this.owner[cell] === owner) {
      this.weight[cell] += share;
    } else if (this.weight[cell] >= share) {
      this.weight[cell] -= share;
    } else {
      this.weight[cell] = share - this.weight[cell];
      this.owner[cell] = owner;
    }
  }

  // Puts the pixels on a canvas: `colours[owner]` are [r, g, b, dim], odd owners are hatched.
  paint(context, left, top, colours, dim) {
    const image = context.createImageData(this.width, this.height);
    for (let y = 0, cell = 0; y < this.height; y++) {
      for (let x = 0; x < this.width; x++, cell++) {
        const owner = this.owner[cell];
        if (owner < 0 || this.cover[cell] < 0.02) continue;
        const colour = colours[owner];
        const shade = owner & 1 && (x + y) % 6 < 2 ? 0.62 : 1;
        const at = cell * 4;
        for (let c = 0; c < 3; c++) image.data[at + c] = colour[c] * shade;
        image.data[at + 3] = 255 * Math.min(1, this.cover[cell]) * (colour[3] ? dim : 1);
      }
    }
    const buffer = document.createElement("canvas");
    buffer.width = this.width;
    buffer.height = this.height;
    buffer.getContext("2d").putImageData(image, 0, 0);
    context.drawImage(buffer, left, top);
  }
}

function channels(colour) {
  const number = parseInt(colour.slice(1), 16);
  return [number >> 16, (number >> 8) & 255, number & 255];
}

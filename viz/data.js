// The schedules of the page, unpacked: typed arrays, and what can be said of an operation or of a tile's life.

const WORDS = JSON.parse(document.getElementById("words").textContent);
const [KEPT, STORED, SPILLED, OVERWRITTEN] = [0, 1, 2, 3];
const [OPERAND, ACCUMULATOR, INTERMEDIATE] = [0, 1, 2];
const AXES = { op: "Operations", cycle: "Cycles" };

function count(number) {
  return Math.round(number).toLocaleString("en-US");
}

function hex(address) {
  return "0x" + address.toString(16).padStart(4, "0");
}

function plural(number, noun) {
  return `${count(number)} ${noun}${number === 1 ? "" : "s"}`;
}

function unpacked() {
  const text = atob(document.getElementById("data").textContent.trim());
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  const arrays = { Uint8Array, Uint16Array, Uint32Array, Int32Array, Float64Array };
  const columns = (places) =>
    Object.fromEntries(
      Object.entries(places).map(([name, [type, offset, length]]) => [name, new arrays[type](bytes.buffer, offset, length)]),
    );
  return JSON.parse(document.getElementById("head").textContent).map((head) => new Schedule(head, columns));
}

// One schedule. Columns are typed arrays: `ops.start[i]` is the cycle in which operation i starts.
class Schedule {
  constructor(head, columns) {
    Object.assign(this, head);
    this.tiles = columns(head.tiles);
    this.ops = columns(head.ops);
    this.lives = columns(head.lives);
    this.opCount = this.ops.form.length;
    this.lifeCount = this.lives.tile.length;
    this.index();
    this.curves = { op: this.opCurve(), cycle: this.cycleCurve() };
  }

  // The operations of each queue in order, what each waited, and the lives of each tile.
  index() {
    const { queue, start, end, cause } = this.ops;
    const counts = this.queues.map(() => 0);
    for (const q of queue) counts[q]++;
    this.byQueue = counts.map((n) => new Uint32Array(n));
    this.waited = new Float64Array(this.opCount);
    const at = this.queues.map(() => 0);
    const free = this.queues.map(() => 0);
    for (let i = 0; i < this.opCount; i++) {
      const q = queue[i];
      if (cause[i]) this.waited[i] = start[i] - free[q];
      free[q] = end[i];
      this.byQueue[q][at[q]++] = i;
    }
    this.firstLife = new Int32Array(this.tiles.tensor.length).fill(-1);
    this.nextLife = new Int32Array(this.lifeCount).fill(-1);
    for (let life = this.lifeCount - 1; life >= 0; life--) {
      this.nextLife[life] = this.firstLife[this.lives.tile[life]];
      this.firstLife[this.lives.tile[life]] = life;
    }
  }

  // Bytes live from x[i] to x[i + 1], and where they are most.
  opCurve() {
    const x = new Float64Array(this.opCount + 1).map((_, i) => i);
    return this.withPeak(x, Float64Array.from(this.ops.live));
  }

  cycleCurve() {
    const n = this.lifeCount;
    const { begin, until, tile } = this.lives;
    const times = new Float64Array(2 * n);
    const order = new Uint32Array(2 * n).map((_, i) => i);
    for (let i = 0; i < n; i++) {
      times[2 * i] = begin[i];
      times[2 * i + 1] = until[i];
    }
    // Ends before beginnings: what is free at a cycle can be used in it.
    order.sort((a, b) => times[a] - times[b] || (b & 1) - (a & 1));
    const x = [0];
    const y = [];
    let live = 0;
    for (let i = 0; i < order.length; ) {
      const now = times[order[i]];
      if (now > x[x.length - 1]) {
        x.push(now);
        y.push(live);
      }
      for (; i < order.length && times[order[i]] === now; i++) {
        const size = this.rounded(this.size(tile[order[i] >> 1]));
        live += order[i] & 1 ? -size : size;
      }
    }
    return this.withPeak(Float64Array.from(x), Float64Array.from(y));
  }

  withPeak(x, y) {
    let peak = 0;
    for (let i = 1; i < y.length; i++) if (y[i] > y[peak]) peak = i;
    return { x, y, peak, most: y.length ? y[peak] : 0 };
  }

  rounded(size) {
    return Math.ceil(size / this.alignment) * this.alignment;
  }

  size(tile) {
    return this.tensors[this.tiles.tensor[tile]][1];
  }

  extent(axis) {
    return Math.max(1, axis === "op" ? this.opCount : this.makespan);
  }

  // From where to where a life lasts on an axis.
  span(life, axis) {
    const { first, last, begin, until } = this.lives;
    return axis === "op" ? [first[life], last[life] + 1] : [begin[life], until[life]];
  }

  tensorOf(life) {
    return this.tiles.tensor[this.lives.tile[life]];
  }

  coord(tile) {
    const coords = [];
    for (let axis = 0; this.tiles[`axis${axis}`]?.[tile] >= 0; axis++) coords.push(this.tiles[`axis${axis}`][tile]);
    return `[${coords.join(", ")}]`;
  }

  tileName(tile) {
    return `%${this.tensors[this.tiles.tensor[tile]][0]}${this.coord(tile)}`;
  }

  tileCalled(name) {
    for (let tile = 0; tile < this.tiles.tensor.length; tile++) if (this.tileName(tile) === name) return tile;
    return -1;
  }

  livesOf(tile) {
    const found = [];
    for (let life = this.firstLife[tile]; life >= 0; life = this.nextLife[life]) found.push(life);
    return found;
  }

  // The operation as it stands in the schedule's text.
  text(op) {
    return this.forms[this.ops.form[op]].replace(/\u0001([0-2])/g, (_, place) => {
      const life = this.ops[`life${place}`][op];
      return `${this.tileName(this.lives.tile[life])} @${hex(this.lives.address[life])}`;
    });
  }

  isStore(op) {
    return this.forms[this.ops.form[op]].startsWith("sched.store");
  }

  uses(life) {
    const { life0, life1, life2 } = this.ops;
    const found = [];
    for (let op = this.lives.first[life]; op <= this.lives.last[life]; op++) {
      if (life0[op] === life || life1[op] === life || life2[op] === life) found.push(op);
    }
    return found;
  }

  lineOf(op) {
    return this.ops.line[op] ? `line ${count(this.ops.line[op])}` : `op ${count(op)}`;
  }
}

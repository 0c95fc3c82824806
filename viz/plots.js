// The pictures of one schedule on a canvas: SRAM map, moves, live bytes, engines; and what lies under the pointer.

const GUTTER = 72;
const RIGHT = 14;
const TITLE = 20;
const LANE = 22;
const MOVES = 12;
const FONT = '11px system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif';
const SMALL = FONT.replace("11px", "9px");
const VECTOR_LIVES = 2500;

class Plot {
  constructor(schedule, base, over, state) {
    Object.assign(this, { schedule, base, over, state });
    this.hatch = null;
  }

  // Sizes

  resize() {
    const box = this.base.getBoundingClientRect();
    const scale = window.devicePixelRatio || 1;
    for (const canvas of [this.base, this.over]) {
      canvas.width = Math.max(1, Math.round(box.width * scale));
      canvas.height = Math.max(1, Math.round(box.height * scale));
    }
    this.scale = scale;
    this.arrange(box.width, box.height);
  }

  arrange(width, height) {
    const lanes = this.schedule.queues.length * (LANE + 4);
    const moves = this.state.moveRows.length * MOVES;
    const live = Math.max(60, Math.min(120, height * 0.17));
    const map = Math.max(60, height - TITLE * 3 - 18 - moves - live - lanes - 36);
    let top = TITLE;
    const band = (size, gap) => {
      const made = { top, height: size, bottom: top + size };
      top += size + gap;
      return made;
    };
    this.width = width;
    this.height = height;
    this.right = width - RIGHT;
    this.map = band(map, moves ? 9 : 0);
    this.moves = band(moves, TITLE + 4);
    this.live = band(live, TITLE + 4);
    this.lanes = this.schedule.queues.map(() => band(LANE, 4));
    this.axisTop = top;
  }

  // Coordinates

  x(value) {
    const [from, to] = this.state.x;
    return GUTTER + ((value - from) / (to - from)) * (this.right - GUTTER);
  }

  valueAt(x) {
    const [from, to] = this.state.x;
    return from + ((x - GUTTER) / (this.right - GUTTER)) * (to - from);
  }

  y(address) {
    const [from, to] = this.state.y;
    return this.map.bottom - ((address - from) / (to - from)) * this.map.height;
  }

  addressAt(y) {
    const [from, to] = this.state.y;
    return from + ((this.map.bottom - y) / this.map.height) * (to - from);
  }

  box(life) {
    const { lives } = this.schedule;
    const [from, to] = this.schedule.span(life, this.state.axis);
    const address = lives.address[life];
    const top = this.y(address + this.schedule.size(lives.tile[life]));
    const left = this.x(from);
    return { left, top, width: Math.max(this.x(to) - left, 0.5), height: this.y(address) - top };
  }

  // Drawing

  draw() {
    const context = this.base.getContext("2d");
    context.setTransform(this.scale, 0, 0, this.scale, 0, 0);
    context.clearRect(0, 0, this.width, this.height);
    context.font = FONT;
    context.textBaseline = "middle";
    this.context = context;
    this.theme = themeColours();
    this.drawGrid();
    this.clipped(this.map, () => this.drawMap());
    this.drawMoves();
    this.drawLive();
    this.schedule.queues.forEach((name, queue) => this.drawLane(queue, name));
    this.drawTitles();
    this.drawOver();
  }

  clipped(band, draw, context = this.context) {
    context.save();
    context.beginPath();
    context.rect(GUTTER, band.top, this.right - GUTTER, band.height);
    context.clip();
    draw();
    context.restore();
  }

  text(words, x, y, { colour = this.theme.soft, align = "left", bold = false } = {}) {
    this.context.fillStyle = colour;
    this.context.textAlign = align;
    this.context.font = bold ? `600 ${FONT}` : FONT;
    this.context.fillText(words, x, y);
    this.context.font = FONT;
  }

  line(x0, y0, x1, y1, colour, dash = [], context = this.context) {
    context.strokeStyle = colour;
    context.lineWidth = 1;
    context.setLineDash(dash);
    context.beginPath();
    context.moveTo(Math.round(x0) + 0.5, Math.round(y0) + 0.5);
    context.lineTo(Math.round(x1) + 0.5, Math.round(y1) + 0.5);
    context.stroke();
    context.setLineDash([]);
  }

  drawGrid() {
    const { theme } = this;
    const bottom = this.axisTop;
    let last = -Infinity;
    for (const value of ticks(...this.state.x, (this.right - GUTTER) / 90, decimalStep)) {
      const x = this.x(value);
      this.line(x, this.map.top, x, bottom, theme.grid);
      if (value > this.schedule.extent(this.state.axis) && x > this.right - 20) continue;
      const words = count(value);
      const half = this.context.measureText(words).width / 2;
      if (x - half < last + 8 || x + half > this.width) continue;
      this.text(words, x, bottom + 12, { align: "center" });
      last = x + half;
    }
    const name = this.state.axis === "op" ? "operation number" : "cycle";
    this.text(name, this.right, bottom + 28, { align: "right" });
    for (const address of ticks(...this.state.y, this.map.height / 34, binaryStep)) {
      const y = this.y(address);
      this.line(GUTTER, y, this.right, y, theme.grid);
      this.text(hex(address), GUTTER - 8, y, { align: "right" });
    }
    for (const band of [this.map, this.live, ...this.lanes]) {
      this.line(GUTTER, band.bottom, this.right, band.bottom, theme.line);
    }
  }

  drawTitles() {
    const { schedule, state } = this;
    const curve = schedule.curves[state.axis];
    const top = this.map.top - TITLE / 2;
    this.text("SRAM address", GUTTER, top, { bold: true, colour: this.theme.text });
    const above = schedule.capacity - Math.max(schedule.highWater, 0);
    if (above > 0 && state.y[1] < schedule.capacity) {
      const words = `never used: ${hex(schedule.highWater)} to ${hex(schedule.capacity)}`;
      this.fitting(words, GUTTER + 90, this.right, top);
    }
    const live = this.live.top - TITLE / 2 - 2;
    this.text("Bytes live", GUTTER, live, { bold: true, colour: this.theme.text });
    const where = state.axis === "op" ? this.where(curve.peak) : `in cycle ${count(curve.x[curve.peak] || 0)}`;
    const share = ((100 * curve.most) / schedule.capacity).toFixed(1);
    const long = `peak ${count(curve.most)} of ${count(schedule.capacity)} B (${share}%) ${where}`;
    this.fitting([long, `peak ${count(curve.most)} B (${share}%)`], GUTTER + 70, this.right, live);
    const engines = this.lanes[0].top - TITLE / 2 - 2;
    this.text("Engines", GUTTER, engines, { bold: true, colour: this.theme.text });
    this.fitting([`${count(schedule.makespan)} cycles in all`], GUTTER + 60, this.right, engines);
  }

  // The longest of some texts that fits, right-aligned.
  fitting(words, left, right, y) {
    const found = [words].flat().find((w) => this.context.measureText(w).width <= right - left);
    if (found) this.text(found, right, y, { align: "right" });
  }

  where(op) {
    return this.schedule.opCount ? `at op ${count(op)}, ${this.schedule.lineOf(op)}` : "";
  }

  visibleLives() {
    const { schedule, state } = this;
    const [from, to] = state.axis === "op" ? ["first", "last"] : ["begin", "until"];
    const starts = schedule.lives[from];
    const ends = schedule.lives[to];
    const found = [];
    for (let life = 0; life < schedule.lifeCount; life++) {
      if (starts[life] <= state.x[1] && ends[life] >= state.x[0] - 1) found.push(life);
    }
    return found;
  }

  drawMap() {
    const { context, theme, schedule } = this;
    const roof = this.y(schedule.capacity);
    if (roof > this.map.top) {
      context.fillStyle = theme.lane;
      context.fillRect(GUTTER, this.map.top, this.right - GUTTER, roof - this.map.top);
      this.line(GUTTER, roof, this.right, roof, theme.limit, [6, 4]);
      const words = `the SRAM ends at ${hex(schedule.capacity)}`;
      if (roof - this.map.top > 16) this.text(words, GUTTER + 8, roof - 9, { colour: theme.limit });
    }
    for (const [start, end] of schedule.reserved) this.drawReserved(start, end);
    const lives = this.visibleLives();
    const lit = schedule.lit;
    if (lives.length > VECTOR_LIVES) this.drawRaster(lives, lit);
    else for (const life of lives) this.drawLife(life, lit !== null && !lit[schedule.lives.tile[life]]);
    if (this.state.pinned) this.drawPinned();
  }

  drawReserved(start, end) {
    const { context } = this;
    const top = this.y(end);
    context.fillStyle = this.theme.lane;
    context.fillRect(GUTTER, top, this.right - GUTTER, this.y(start) - top);
    context.fillStyle = this.pattern(this.theme.soft);
    context.fillRect(GUTTER, top, this.right - GUTTER, this.y(start) - top);
    this.text("reserved", GUTTER + 6, (top + this.y(start)) / 2, { colour: this.theme.text });
  }

  // Diagonal lines.
  pattern(colour) {
    const tile = document.createElement("canvas");
    tile.width = tile.height = 6;
    const brush = tile.getContext("2d");
    brush.strokeStyle = colour;
    brush.lineWidth = 1.1;
    brush.beginPath();
    for (const shift of [-6, 0, 6]) {
      brush.moveTo(shift - 1, 7);
      brush.lineTo(shift + 7, -1);
    }
    brush.stroke();
    return this.context.createPattern(tile, "repeat");
  }

  drawRaster(lives, lit) {
    const { schedule, scale, context } = this;
    const width = Math.round((this.right - GUTTER) * scale);
    const height = Math.round(this.map.height * scale);
    const raster = new Raster(width, height);
    // Owners: per tensor dim or lit, plain or (odd) a sum in the making.
    const colours = schedule.tensors.flatMap((_, tensor) => {
      const colour = channels(schedule.colours[tensor]);
      return [0, 0, 1, 1].map((dim) => [...colour, dim]);
    });
    for (const life of lives) {
      const box = this.box(life);
      const tile = schedule.lives.tile[life];
      const dim = lit !== null && !lit[tile] ? 2 : 0;
      const sum = schedule.lives.kind[life] === ACCUMULATOR ? 1 : 0;
      const left = (box.left - GUTTER) * scale;
      const top = (box.top - this.map.top) * scale;
      raster.add(
        left, left + box.width * scale, top, top + box.height * scale, schedule.tiles.tensor[tile] * 4 + dim + sum,
      );
    }
    context.save();
    context.setTransform(1, 0, 0, 1, 0, 0);
    raster.paint(context, Math.round(GUTTER * scale), Math.round(this.map.top * scale), colours, this.theme.dim);
    context.restore();
  }

  drawLife(life, dim) {
    const { context, schedule } = this;
    const { lives } = schedule;
    const { left, top, width, height } = this.box(life);
    context.globalAlpha = dim ? this.theme.dim : 1;
    context.fillStyle = schedule.colours[schedule.tensorOf(life)];
    context.fillRect(left, top, width, height);
    const sum = lives.kind[life] === ACCUMULATOR;
    if (sum && width > 3) this.drawHatch(life, left, top, width, height);
    if (width > 2.5 && height > 2.5) {
      context.strokeStyle = WORDS.ink;
      // Bold edges would hide what is thin.
      context.lineWidth = height < 9 ? 0.5 : sum ? 1.6 : 0.8;
      const inset = context.lineWidth / 2;
      context.strokeRect(left + inset, top + inset, width - 2 * inset, height - 2 * inset);
    }
    this.drawCorners(life, left, top, width, height);
    this.drawLabel(life, left, top, width, height, sum);
    context.globalAlpha = 1;
  }

  // A sum is hatched until its last write.
  drawHatch(life, left, top, width, height) {
    const { schedule, state, context } = this;
    const op = schedule.lives.written[life];
    const done = this.x(state.axis === "op" ? op + 1 : schedule.ops.end[op]);
    if (this.hatch === null) this.hatch = this.pattern(WORDS.ink + "8c");
    context.fillStyle = this.hatch;
    context.fillRect(left, top, Math.min(width, done - left), height);
  }

  drawCorners(life, left, top, width, height) {
    const { context } = this;
    const { lives } = this.schedule;
    // A rim of the tile's colour keeps them apart from a dark page.
    const size = Math.min(9, width / 2, height * 0.6) - 1;
    if (size < 3) return;
    if (lives.reload[life]) this.triangle(left + 1.5, top + 1.5, size, 1, WORDS.ink);
    if (lives.ended[life] === SPILLED) this.triangle(left + width - 1.5, top + height - 1.5, size, -1, WORDS.spill);
  }

  triangle(x, y, size, sign, colour) {
    const { context } = this;
    context.fillStyle = colour;
    context.beginPath();
    context.moveTo(x, y);
    context.lineTo(x + sign * size, y);
    context.lineTo(x, y + sign * size);
    context.fill();
  }

  drawLabel(life, left, top, width, height, sum) {
    if (height < 9.5 || width < 26) return;
    const { context, schedule } = this;
    context.font = height < 13 ? SMALL : FONT;
    // A life that begins or ends outside the window has its label in the part that is seen.
    const from = Math.max(left, GUTTER);
    const seen = Math.min(left + width, this.right) - from;
    const tile = schedule.lives.tile[life];
    const words = [schedule.tileName(tile), schedule.coord(tile).replace(/ /g, "")].find(
      (w) => context.measureText(w).width + 10 <= seen,
    );
    if (!words) {
      context.font = FONT;
      return;
    }
    const wide = context.measureText(words).width;
    const middle = from + seen / 2;
    if (sum) {
      context.fillStyle = schedule.colours[schedule.tensorOf(life)];
      const tall = Math.min(14, height - 3);
      context.fillRect(middle - wide / 2 - 3, top + (height - tall) / 2, wide + 6, tall);
    }
    context.fillStyle = WORDS.ink;
    context.textAlign = "center";
    context.fillText(words, middle, top + height / 2 + 0.5);
    context.font = FONT;
  }

  // The lives of the pinned tile, outlined, with a line from each to the next.
  drawPinned() {
    const { context, schedule, theme } = this;
    const tile = schedule.tileCalled(this.state.pinned);
    if (tile < 0) return;
    let before = null;
    for (const life of schedule.livesOf(tile)) {
      const box = this.box(life);
      const width = Math.max(box.width, 3);
      context.fillStyle = schedule.colours[schedule.tiles.tensor[tile]];
      if (box.width < 3) context.fillRect(box.left, box.top, width, box.height);
      context.lineWidth = 2;
      context.strokeStyle = theme.mark;
      context.strokeRect(box.left, box.top, width, box.height);
      const middle = box.top + box.height / 2;
      if (before) this.line(before[0], before[1], box.left, middle, theme.mark, [3, 3]);
      before = [box.left + width, middle];
    }
  }

  // Reloads and spills as ticks, a row each; where they are dense, darker for more.
  drawMoves() {
    const { schedule, state } = this;
    state.moveRows.forEach((what, row) => {
      const top = this.moves.top + row * MOVES;
      this.text(what, GUTTER - 8, top + 4.5, { align: "right" });
      const columns = new Float32Array(Math.ceil(this.right - GUTTER) + 1);
      for (let life = 0; life < schedule.lifeCount; life++) {
        const op = this.moveOp(life, what);
        if (op < 0 || (schedule.lit !== null && !schedule.lit[schedule.lives.tile[life]])) continue;
        const at = this.x(state.axis === "op" ? op : schedule.ops.start[op]) - GUTTER;
        if (at >= 0 && at < columns.length) columns[Math.floor(at)]++;
      }
      const most = columns.reduce((a, b) => Math.max(a, b), 1);
      this.context.fillStyle = what === "spills" ? this.theme.limit : this.theme.mark;
      columns.forEach((n, column) => {
        if (!n) return;
        this.context.globalAlpha = most > 1 ? 0.25 + (0.75 * n) / most : 1;
        this.context.fillRect(GUTTER + column, top, most > 1 ? 1 : 2, 8);
      });
      this.context.globalAlpha = 1;
    });
  }

  // The operation that reloads a life's tile or spills it, -1 for none.
  moveOp(life, what) {
    const { lives } = this.schedule;
    if (what === "reloads") return lives.reload[life] ? lives.first[life] : -1;
    return lives.ended[life] === SPILLED ? lives.ender[life] : -1;
  }

  drawLive() {
    const { context, schedule, state, theme } = this;
    const top = state.liveTop;
    const y = (bytes) => this.live.bottom - (bytes / top) * this.live.height;
    for (const bytes of ticks(0, top, this.live.height / 30, binaryStep)) {
      this.line(GUTTER, y(bytes), this.right, y(bytes), theme.grid);
      this.text(kib(bytes), GUTTER - 8, y(bytes), { align: "right" });
    }
    this.clipped({ top: this.live.top - 1, height: this.live.height + 1 }, () => {
      const columns = this.liveColumns();
      context.fillStyle = theme.live;
      columns.forEach((bytes, i) => {
        if (bytes > 0) context.fillRect(GUTTER + i / this.scale, y(bytes), 1 / this.scale + 0.3, this.live.bottom - y(bytes));
      });
      if (schedule.capacity <= top) this.line(GUTTER, y(schedule.capacity), this.right, y(schedule.capacity), theme.limit, [6, 4]);
    });
    const curve = schedule.curves[state.axis];
    if (!curve.most) return;
    const x = (this.x(curve.x[curve.peak]) + this.x(curve.x[curve.peak + 1])) / 2;
    if (x < GUTTER || x > this.right) return;
    context.fillStyle = theme.accent;
    context.beginPath();
    context.arc(x, y(curve.most), 3.5, 0, 7);
    context.fill();
  }

  // The most bytes live within each device pixel's column.
  liveColumns() {
    const { x, y } = this.schedule.curves[this.state.axis];
    const wide = Math.ceil((this.right - GUTTER) * this.scale);
    const out = new Float64Array(wide);
    let at = Math.max(0, upperBound(x, this.valueAt(GUTTER)) - 1);
    for (let column = 0; column < wide; column++) {
      const from = this.valueAt(GUTTER + column / this.scale);
      const to = this.valueAt(GUTTER + (column + 1) / this.scale);
      if (to <= 0) continue;
      while (at < y.length && x[at + 1] <= from) at++;
      for (let i = at; i < y.length && x[i] < to; i++) out[column] = Math.max(out[column], y[i]);
    }
    return out;
  }

  // Engines

  opSpan(op) {
    return this.state.axis === "op" ? [op, op + 1] : [this.schedule.ops.start[op], this.schedule.ops.end[op]];
  }

  // The part of a queue's operations that is in the window, as positions in it.
  visibleOps(queue) {
    const list = this.schedule.byQueue[queue];
    const start = this.state.axis === "op" ? (i) => list[i] : (i) => this.schedule.ops.start[list[i]];
    const [from, to] = this.state.x;
    return [Math.max(0, search(list.length, (i) => start(i) > from) - 1), search(list.length, (i) => start(i) > to)];
  }

  drawLane(queue, name) {
    const { context, theme } = this;
    const band = this.lanes[queue];
    this.text(name, GUTTER - 8, band.top + LANE / 2, { align: "right", colour: theme.text });
    context.fillStyle = theme.lane;
    context.fillRect(GUTTER, band.top, this.right - GUTTER, band.height);
    this.clipped(band, () => {
      const [from, to] = this.visibleOps(queue);
      if (to - from > (this.right - GUTTER) / 2) this.drawShares(queue, from, to, band);
      else for (let i = from; i < to; i++) this.drawOp(this.schedule.byQueue[queue][i], band);
    });
  }

  drawOp(op, band) {
    const { context, schedule, state } = this;
    const [from, to] = this.opSpan(op);
    const left = this.x(from);
    const width = Math.max(this.x(to) - left, 0.7);
    const life = schedule.ops.life0[op];
    const dim = schedule.lit !== null && !this.names(op);
    context.globalAlpha = dim ? this.theme.dim : 1;
    this.drawStall(op, left, band);
    context.fillStyle = schedule.colours[schedule.tensorOf(life)];
    context.fillRect(left, band.top + 1, width, band.height - 2);
    const store = schedule.isStore(op);
    if (width > 2) {
      context.strokeStyle = WORDS.ink;
      context.lineWidth = 0.8;
      context.strokeRect(left + 0.4, band.top + 1.4, width - 0.8, band.height - 2.8);
      context.fillStyle = WORDS.ink;
      if (store) context.fillRect(left + 1.5, band.bottom - 6, width - 3, 3);
    }
    const words = schedule.tileName(schedule.lives.tile[life]);
    if (width > 40 && context.measureText(words).width + 8 < width) {
      this.text(words, left + width / 2, band.top + LANE / 2 - (store ? 1.5 : 0), { colour: WORDS.ink, align: "center" });
    }
    if (state.axis === "op" && schedule.waited[op]) {
      context.fillStyle = WORDS.causeColours[schedule.ops.cause[op]];
      context.fillRect(left, band.top, Math.min(4, width / 3), band.height);
    }
    context.globalAlpha = 1;
  }

  // The time that an engine waited before an operation.
  drawStall(op, left, band) {
    const { context, schedule, state } = this;
    if (state.axis === "op" || !schedule.waited[op]) return;
    const from = this.x(schedule.ops.start[op] - schedule.waited[op]);
    context.fillStyle = WORDS.causeColours[schedule.ops.cause[op]];
    context.fillRect(from, band.bottom - 8, left - from, 6);
  }

  names(op) {
    const { ops, lives, lit } = this.schedule;
    return ["life0", "life1", "life2"].some((place) => ops[place][op] >= 0 && lit[lives.tile[ops[place][op]]]);
  }

  // Per column, how much of it the engine works (from below) and waits, by cause (above that).
  drawShares(queue, from, to, band) {
    const { context, schedule, state } = this;
    const wide = Math.ceil(this.right - GUTTER);
    const sums = new Map([[0, new Float64Array(wide)]]);
    const add = (kind, start, end) => {
      if (!sums.has(kind)) sums.set(kind, new Float64Array(wide));
      spread(sums.get(kind), this.x(start) - GUTTER, this.x(end) - GUTTER);
    };
    for (let i = from; i < to; i++) {
      const op = schedule.byQueue[queue][i];
      const [start, end] = this.opSpan(op);
      add(0, start, end);
      if (state.axis === "cycle" && schedule.waited[op]) add(schedule.ops.cause[op], start - schedule.waited[op], start);
    }
    const height = band.height - 1;
    for (let column = 0; column < wide; column++) {
      let bottom = band.bottom;
      for (const [kind, columns] of sums) {
        const size = height * Math.min(1, columns[column]);
        context.fillStyle = kind ? WORDS.causeColours[kind] : this.theme.live;
        context.fillRect(GUTTER + column, bottom - size, 1, size);
        bottom -= size;
      }
    }
  }

  // Under the pointer

  hit(x, y) {
    if (x < GUTTER || x > this.right) return null;
    const value = this.valueAt(x);
    const op = this.opAtValue(value);
    if (y >= this.map.top && y < this.map.bottom) return { band: "map", value, op, life: this.lifeAt(value, this.addressAt(y)) };
    if (y >= this.live.top && y < this.live.bottom) return { band: "live", value, op, life: -1 };
    const queue = this.lanes.findIndex((band) => y >= band.top && y < band.bottom);
    if (queue < 0) return null;
    return { band: "lane", value, queue, op: this.opInLane(queue, value), life: -1 };
  }

  opAtValue(value) {
    if (this.state.axis !== "op") return -1;
    const op = Math.floor(value);
    return op >= 0 && op < this.schedule.opCount ? op : -1;
  }

  lifeAt(value, address) {
    const { schedule, state } = this;
    const { lives } = schedule;
    const slack = (state.x[1] - state.x[0]) / (this.right - GUTTER);
    for (let life = schedule.lifeCount - 1; life >= 0; life--) {
      const offset = address - lives.address[life];
      if (offset < 0 || offset >= schedule.size(lives.tile[life])) continue;
      const [from, to] = schedule.span(life, state.axis);
      if (value >= from && value < Math.max(to, from + slack)) return life;
    }
    return -1;
  }

  // The operation that a queue is at, or waits for, at a place.
  opInLane(queue, value) {
    const list = this.schedule.byQueue[queue];
    const { axis } = this.state;
    if (axis === "op") {
      const op = Math.floor(value);
      return this.schedule.ops.queue[op] === queue ? op : -1;
    }
    const { start, end } = this.schedule.ops;
    const at = search(list.length, (i) => start[list[i]] > value) - 1;
    if (at >= 0 && value < end[list[at]]) return list[at];
    const next = list[at + 1];
    return next !== undefined && this.schedule.waited[next] && value >= start[next] - this.schedule.waited[next] ? next : -1;
  }

  drawOver() {
    const context = this.over.getContext("2d");
    context.setTransform(this.scale, 0, 0, this.scale, 0, 0);
    context.clearRect(0, 0, this.width, this.height);
    const theme = this.theme;
    const { cursor, hover } = this.state;
    if (cursor !== null) {
      const x = this.x(cursor);
      if (x >= GUTTER && x <= this.right) this.line(x, this.map.top, x, this.axisTop, theme.accent, [2, 3], context);
    }
    if (hover && hover.plot === this && hover.life >= 0) {
      this.clipped(this.map, () => {
        const box = this.box(hover.life);
        context.strokeStyle = theme.accent;
        context.lineWidth = 2.5;
        context.strokeRect(box.left, box.top, Math.max(box.width, 2), box.height);
      }, context);
    }
    if (hover && hover.plot === this && hover.band === "lane" && hover.op >= 0) this.outlineOp(hover, context);
  }

  outlineOp(hover, context) {
    const band = this.lanes[hover.queue];
    const [from, to] = this.opSpan(hover.op);
    this.clipped(band, () => {
      context.strokeStyle = this.theme.accent;
      context.lineWidth = 2.5;
      context.strokeRect(this.x(from), band.top + 1, Math.max(this.x(to) - this.x(from), 2), band.height - 2);
    }, context);
  }
}

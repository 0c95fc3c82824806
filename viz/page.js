// The page: what is shown of the schedules, and what mouse and keyboard change in it.

const $ = (id) => document.getElementById(id);
const schedules = unpacked();

// `x` and `y` are the window in operations or cycles and in bytes, for all schedules; `pinned` is a tile's name.
const state = {
  axis: WORDS.axis, x: [0, 1], y: [0, 1], whole: false, liveTop: 1, moveRows: [],
  pinned: null, life: -1, plot: 0, query: "", hover: null, cursor: null, theme: "auto",
};
const plots = [];
let drawing = false;

function build() {
  giveColours();
  const several = schedules.length > 1;
  document.body.classList.toggle("compare", several);
  const [one] = schedules;
  $("title").append(
    several ? "Two schedules" : `${one.source} @${one.function}`,
    element("small", {}, several ? "with shared axes" : summary(one)),
  );
  for (const schedule of schedules) {
    const base = element("canvas", { className: "base", tabIndex: 0 });
    base.setAttribute("role", "img");
    base.setAttribute("aria-label", `SRAM map, bytes live and engines of @${schedule.function}: ${summary(schedule)}`);
    const over = element("canvas", { className: "over" });
    const heading = element("h2", {}, `${schedule.source} @${schedule.function}`, element("small", {}, summary(schedule)));
    $("panels").append(element("section", { className: "panel" }, several ? heading : null, element("div", { className: "stage" }, base, over)));
    const plot = new Plot(schedule, base, over, state);
    plots.push(plot);
    listen(plot);
    new ResizeObserver(() => {
      plot.resize();
      redraw();
    }).observe(base);
  }
  state.moveRows = ["reloads", "spills"].filter((what) => plots.some((p) => anyMove(p, what)));
  buildLegend();
  $("figures").append(...figureTables());
  $("moved").append(...movedTables());
}

function anyMove(plot, what) {
  for (let life = 0; life < plot.schedule.lifeCount; life++) if (plot.moveOp(life, what) >= 0) return true;
  return false;
}

function summary(schedule) {
  const peak = schedule.curves.op.most;
  return `${plural(schedule.opCount, "operation")}, peak ${count(peak)} B, ${count(schedule.makespan)} cycles`;
}

// A tensor has the same colour in both schedules.
function giveColours() {
  const names = [...new Set(schedules.flatMap((s) => s.tensors.map((t) => t[0])))];
  const all = WORDS.tensorColours;
  const colours = new Map(names.map((name, i) => [name, all[i % all.length]]));
  for (const schedule of schedules) {
    schedule.colours = schedule.tensors.map(([name]) => colours.get(name));
    schedule.lit = null;
  }
  state.colours = colours;
}

// Drawing

function redraw() {
  if (drawing) return;
  drawing = true;
  requestAnimationFrame(() => {
    drawing = false;
    const most = Math.max(...schedules.map((s) => s.curves[state.axis].most), 1);
    const capacity = Math.max(...schedules.map((s) => s.capacity));
    state.liveTop = most * 1.12 >= capacity * 0.5 || state.whole ? capacity * 1.06 : most * 1.15;
    for (const plot of plots) if (plot.width > 0) plot.draw();
    if (!document.documentElement.dataset.drawn) performance.mark("drawn");
    document.documentElement.dataset.drawn = "true";
  });
}

function redrawOver() {
  for (const plot of plots) if (plot.context) plot.drawOver();
}

function extent() {
  return Math.max(...schedules.map((s) => s.extent(state.axis)));
}

function fit() {
  state.x = [0, extent()];
  fitAddresses();
}

function fitAddresses() {
  const used = Math.max(...schedules.map((s) => s.highWater), 64);
  const capacity = Math.max(...schedules.map((s) => s.capacity));
  state.y = [0, state.whole || used > 0.75 * capacity ? capacity : used];
  redraw();
}

function setX(from, to) {
  const all = extent();
  const least = Math.min(all, state.axis === "op" ? 3 : 12);
  const wide = Math.min(Math.max(to - from, least), all);
  const middle = (from + to) / 2;
  const start = Math.min(Math.max(middle - wide / 2, 0), all - wide);
  state.x = [start, start + wide];
  redraw();
}

function zoom(factor, around) {
  const [from, to] = state.x;
  const at = around ?? (from + to) / 2;
  const all = extent();
  const wide = Math.min(Math.max((to - from) * factor, Math.min(all, state.axis === "op" ? 3 : 12)), all);
  const start = at - ((at - from) / (to - from)) * wide;
  setX(start, start + wide);
}

function zoomAddresses(factor, around) {
  const [from, to] = state.y;
  const all = Math.max(...schedules.map((s) => s.capacity));
  const wide = Math.min(Math.max((to - from) * factor, 64), all);
  const start = Math.min(Math.max(around - ((around - from) / (to - from)) * wide, 0), all - wide);
  state.y = [start, start + wide];
  redraw();
}

function pan(share) {
  const wide = state.x[1] - state.x[0];
  setX(state.x[0] + share * wide, state.x[1] + share * wide);
}

// The middle of the window stays at the same operation.
function setAxis(axis) {
  if (axis !== state.axis) {
    const { start } = schedules[0].ops;
    const old = state.x;
    const was = extent();
    state.axis = axis;
    const opAt = (cycle) => search(start.length, (i) => start[i] >= cycle);
    const map = axis === "op" ? opAt : (op) => start[Math.min(Math.floor(op), start.length - 1)] ?? 0;
    if (old[0] <= 0 && old[1] >= was) state.x = [0, extent()];
    else setX(map(old[0]), Math.max(map(old[1]), map(old[0]) + 1));
  }
  state.cursor = null;
  $("axis-op").setAttribute("aria-pressed", String(axis === "op"));
  $("axis-cycle").setAttribute("aria-pressed", String(axis === "cycle"));
  redraw();
}

function setWhole(whole) {
  state.whole = whole;
  $("whole").setAttribute("aria-pressed", String(whole));
  fitAddresses();
}

function setTheme(theme) {
  state.theme = theme;
  $("theme").textContent = `Theme: ${theme}`;
  const dark = theme === "dark" || (theme === "auto" && matchMedia("(prefers-color-scheme: dark)").matches);
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  redraw();
}

// Search and pinning

function normal(words) {
  return words.replace(/\s+/g, "").toLowerCase();
}

// What a search finds: a whole tensor by its name, a tile by its coordinates, else whatever contains the words.
function finder(query) {
  const words = normal(query).replace(/^%/, "");
  const exact = schedules.some((s) => s.tensors.some((t) => normal(t[0]) === words));
  return (name) => {
    const full = normal(name).slice(1);
    if (exact) return full.slice(0, full.indexOf("[")) === words;
    return words.includes("[") ? full.startsWith(words) : full.slice(0, full.indexOf("[")).includes(words);
  };
}

function light() {
  const found = state.query ? finder(state.query) : null;
  for (const schedule of schedules) {
    schedule.lit = null;
    if (!found && !state.pinned) continue;
    schedule.lit = new Uint8Array(schedule.tiles.tensor.length);
    for (let tile = 0; tile < schedule.lit.length; tile++) {
      const name = schedule.tileName(tile);
      schedule.lit[tile] = Number(state.pinned ? name === state.pinned : found(name));
    }
  }
  redraw();
}

function setQuery(query) {
  state.query = query;
  state.pinned = null;
  if ($("search").value !== query) $("search").value = query;
  light();
  const tiles = new Set(matches());
  $("matches").textContent = query ? plural(tiles.size, "tile") : "";
  for (const chip of $("legend").querySelectorAll("button")) {
    chip.setAttribute("aria-pressed", String(query === `%${chip.dataset.tensor}`));
  }
  showPinned();
}

function matches() {
  const found = finder(state.query);
  const names = schedules.flatMap((s) => Array.from(s.tiles.tensor, (_, tile) => s.tileName(tile)));
  return state.query ? [...new Set(names)].filter(found) : [];
}

function pinNext() {
  const names = matches();
  if (!names.length) return;
  const at = names.indexOf(state.pinned);
  const name = names[(at + 1) % names.length];
  const plot = schedules.findIndex((s) => s.tileCalled(name) >= 0);
  const schedule = schedules[plot];
  pin(plot, schedule.firstLife[schedule.tileCalled(name)], true);
}

function pin(plot, life, move) {
  const schedule = schedules[plot];
  state.pinned = schedule.tileName(schedule.lives.tile[life]);
  state.plot = plot;
  state.life = life;
  light();
  showPinned();
  if (move) lookAt(schedule, life);
}

function unpin() {
  state.pinned = null;
  state.life = -1;
  light();
  showPinned();
}

// Moves the window so that a life is in its middle, if it is not in sight.
function lookAt(schedule, life) {
  const [from, to] = schedule.span(life, state.axis);
  const wide = state.x[1] - state.x[0];
  if (from >= state.x[0] && to <= state.x[1] && to - from > wide / 200) return;
  const seen = Math.min(wide, Math.max((to - from) * 6, state.axis === "op" ? 40 : 400));
  setX((from + to - seen) / 2, (from + to + seen) / 2);
}

function step(by) {
  if (!state.pinned) return;
  const schedule = schedules[state.plot];
  const lives = schedule.livesOf(schedule.lives.tile[state.life]);
  const at = (lives.indexOf(state.life) + by + lives.length) % lives.length;
  pin(state.plot, lives[at], true);
  $("pinned").querySelector(".now")?.scrollIntoView({ block: "nearest" });
}

// Mouse

function listen(plot) {
  const { base } = plot;
  let drag = null;
  const place = (event) => {
    const box = base.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  base.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    base.setPointerCapture(event.pointerId);
    drag = { at: place(event), x: [...state.x], y: [...state.y], moved: false };
  });
  base.addEventListener("pointermove", (event) => {
    const at = place(event);
    if (drag) dragTo(plot, drag, at);
    else hover(plot, at, event);
  });
  base.addEventListener("pointerup", (event) => {
    if (drag && !drag.moved) click(plot, place(event));
    drag = null;
    base.classList.remove("dragging");
  });
  base.addEventListener("pointercancel", () => (drag = null));
  base.addEventListener("pointerleave", () => unhover());
  base.addEventListener("dblclick", fit);
  base.addEventListener("wheel", (event) => wheel(plot, place(event), event), { passive: false });
}

function dragTo(plot, drag, at) {
  const dx = at[0] - drag.at[0];
  const dy = at[1] - drag.at[1];
  if (!drag.moved && Math.hypot(dx, dy) < 4) return;
  drag.moved = true;
  plot.base.classList.add("dragging");
  unhover();
  const wide = drag.x[1] - drag.x[0];
  const shift = (-dx / (plot.right - GUTTER)) * wide;
  setX(drag.x[0] + shift, drag.x[1] + shift);
  const tall = drag.y[1] - drag.y[0];
  const top = Math.max(...schedules.map((s) => s.capacity)) - tall;
  const from = Math.min(Math.max(drag.y[0] + (dy / plot.map.height) * tall, 0), Math.max(top, 0));
  if (drag.at[1] < plot.map.bottom && tall < top + tall) state.y = [from, from + tall];
}

function wheel(plot, [x, y], event) {
  event.preventDefault();
  const turn = event.deltaY || event.deltaX;
  const factor = Math.exp(Math.sign(turn) * Math.min(0.5, Math.abs(turn) / 500));
  if (event.shiftKey && y < plot.map.bottom) zoomAddresses(factor, plot.addressAt(y));
  else if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) pan(event.deltaX / 1000);
  else zoom(factor, plot.valueAt(Math.max(GUTTER, Math.min(x, plot.right))));
  unhover();
}

function hover(plot, [x, y], event) {
  const hit = plot.hit(x, y);
  state.cursor = hit ? hit.value : null;
  state.hover = hit && { ...hit, plot };
  redrawOver();
  const parts = hit ? tipFor(hit, plot.schedule) : [];
  const tip = $("tip");
  tip.hidden = !parts.length;
  if (!parts.length) return;
  tip.replaceChildren(...parts);
  const left = event.clientX + 16 + tip.offsetWidth > innerWidth ? event.clientX - 14 - tip.offsetWidth : event.clientX + 16;
  const top = Math.min(event.clientY + 16, innerHeight - tip.offsetHeight - 6);
  tip.style.left = `${Math.max(4, left)}px`;
  tip.style.top = `${Math.max(4, top)}px`;
}

function unhover() {
  state.hover = state.cursor = null;
  $("tip").hidden = true;
  redrawOver();
}

function click(plot, [x, y]) {
  const hit = plot.hit(x, y);
  const number = plots.indexOf(plot);
  if (hit && hit.life >= 0) {
    if (state.pinned && state.life === hit.life && state.plot === number) unpin();
    else pin(number, hit.life, false);
  } else if (hit && hit.band === "lane" && hit.op >= 0) pin(number, plot.schedule.ops.life0[hit.op], false);
  else if (state.pinned) unpin();
}

// Keyboard

const KEYS = {
  ArrowLeft: (event) => pan(event.shiftKey ? -1 : -0.2),
  ArrowRight: (event) => pan(event.shiftKey ? 1 : 0.2),
  "+": () => zoom(0.6),
  "=": () => zoom(0.6),
  "-": () => zoom(1 / 0.6),
  0: fit,
  x: () => setAxis(state.axis === "op" ? "cycle" : "op"),
  a: () => setWhole(!state.whole),
  n: () => step(1),
  p: () => step(-1),
  t: () => setTheme(document.documentElement.dataset.theme === "dark" ? "light" : "dark"),
  "/": () => $("search").focus(),
  "?": () => $("keys").showModal(),
  Escape: () => {
    setQuery("");
    unpin();
  },
};

function pressed(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || $("keys").open) return;
  if (event.target === $("search")) {
    if (event.key === "Enter") pinNext();
    else if (event.key === "Escape") {
      setQuery("");
      $("search").blur();
    }
    return;
  }
  const act = KEYS[event.key];
  if (!act) return;
  event.preventDefault();
  act(event);
}

function start() {
  build();
  $("axis-op").addEventListener("click", () => setAxis("op"));
  $("axis-cycle").addEventListener("click", () => setAxis("cycle"));
  $("zoom-in").addEventListener("click", () => zoom(0.6));
  $("zoom-out").addEventListener("click", () => zoom(1 / 0.6));
  $("fit").addEventListener("click", fit);
  $("whole").addEventListener("click", () => setWhole(!state.whole));
  $("help").addEventListener("click", () => $("keys").showModal());
  const themes = ["auto", "light", "dark"];
  $("theme").addEventListener("click", () => setTheme(themes[(themes.indexOf(state.theme) + 1) % 3]));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => state.theme === "auto" && setTheme("auto"));
  $("search").addEventListener("input", (event) => setQuery(event.target.value));
  document.addEventListener("keydown", pressed);
  // A page can be opened at a view: #axis=cycle&theme=dark&q=%h1&tile=%h1[0,0]
  const wishes = new URLSearchParams(location.hash.slice(1));
  setAxis(wishes.get("axis") in AXES ? wishes.get("axis") : state.axis);
  setTheme(themes.includes(wishes.get("theme")) ? wishes.get("theme") : "auto");
  fit();
  if (wishes.get("q")) setQuery(wishes.get("q"));
}

start();

// What is said in words: the legend, the tables, the pinned tile, the tooltips.

function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [key, value] of Object.entries(properties)) {
    if (key in made) made[key] = value;
    else made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

// Legend

const MOST_CHIPS = 14;

function buildLegend() {
  const legend = $("legend");
  const chips = [...state.colours].slice(0, MOST_CHIPS).map(([name, colour]) => {
    const swatch = element("i");
    swatch.style.background = colour;
    const chip = element("button", { title: `Show the tiles of %${name}` }, swatch, `%${name}`);
    chip.setAttribute("aria-pressed", "false");
    chip.dataset.tensor = name;
    chip.addEventListener("click", () => setQuery(state.query === `%${name}` ? "" : `%${name}`));
    return chip;
  });
  const left = state.colours.size - chips.length;
  const more = left > 0 ? element("span", { className: "key", title: "search them by name" }, `and ${left} more tensors`) : "";
  legend.append(element("div", {}, ...chips, more), element("div", {}, ...keys()));
}

function key(picture, words, title = "") {
  const made = element("span", { className: "key", title });
  made.innerHTML = picture;
  made.append(words);
  return made;
}

// What the marks mean; only those that occur.
function keys() {
  const some = (test) => schedules.some((s) => s.waited.some((_, op) => test(s, op)));
  const kinds = (kind) => schedules.some((s) => s.lives.kind.includes(kind));
  const made = [];
  const edge = '<rect x=".5" y=".5" width="15" height="11" fill="none" stroke="currentColor"/>';
  const box = (inner) => `<svg width="16" height="12"><rect width="16" height="12" fill="#b9c4cf"/>${inner}${edge}</svg>`;
  const hatch = '<path d="M1 11L11 1M6 11L15 2M1 6L6 1M11 11L15 7" stroke="#16202c" fill="none"/>';
  if (kinds(ACCUMULATOR)) made.push(key(box(hatch), "accumulator", "hatched while it is summed up, plain once it is complete"));
  if (state.moveRows.includes("reloads")) {
    made.push(key(box('<path d="M2 2h7L2 9z" fill="#16202c"/>'), "reload", "the tile was on chip before and is brought in again"));
  }
  if (state.moveRows.includes("spills")) {
    made.push(key(box('<path d="M14 10h-7L14 3z" fill="#b3261e"/>'), "spill", "stored to make room, loaded again later"));
  }
  made.push(key(box('<path d="M2 6h12v3H2z" fill="#16202c"/>'), "store (engines)"));
  const seen = new Set();
  WORDS.causes.forEach((cause, i) => {
    const words = WORDS.causeNames[i];
    if (!i || seen.has(words) || !some((s, op) => WORDS.causeNames[s.ops.cause[op]] === words)) return;
    seen.add(words);
    made.push(key(`<svg width="16" height="12"><rect y="3" width="16" height="6" fill="${WORDS.causeColours[i]}"/></svg>`, `waits: ${words}`, cause));
  });
  return made;
}

// Tables

function row(cells, titles = []) {
  const [first, ...rest] = cells;
  return element(
    "tr", {}, element("th", { scope: "row", title: titles[0] || "" }, first),
    ...rest.map((cell, i) => element("td", { title: titles[i + 1] || "" }, cell)),
  );
}

function table(heads, rows) {
  const head = element("thead", {}, element("tr", {}, ...heads.map((h) => element("th", { scope: "col" }, h))));
  return element("table", {}, ...(heads.length ? [head] : []), element("tbody", {}, ...rows));
}

function figureTables() {
  const several = schedules.length > 1;
  return schedules[0].figures.flatMap(([title], group) => {
    const maps = schedules.map((s) => new Map(s.figures[group][1].map(([label, ...rest]) => [label, rest])));
    if (several) maps.forEach((map, i) => joinRepeats(map, schedules[i].figures[group][1]));
    const labels = [...new Set(maps.flatMap((map) => [...map.keys()]))];
    const rows = several
      ? labels.map((l) => row([l, ...maps.map((m) => m.get(l)?.[0] ?? "–")], ["", ...maps.map((m) => m.get(l)?.[1] ?? "")]))
      : schedules[0].figures[group][1].map(([label, shown, note]) => row([label, shown], [note, note]));
    return [element("h3", {}, title), table(several && group === 0 ? ["", "left", "right"] : [], rows)];
  });
}

// Rows with one label (an engine's stalls by cause) as one row, so that two schedules can be compared.
function joinRepeats(map, rows) {
  for (const label of map.keys()) {
    const same = rows.filter((r) => r[0] === label);
    if (same.length > 1) map.set(label, [same.map((r) => r[1]).join(", "), same.map((r) => r[2]).join(", ")]);
  }
}

function movedTables() {
  return schedules.flatMap((schedule, i) => {
    const side = schedules.length > 1 ? ` (${["left", "right"][i]})` : "";
    const shown = schedule.moved.slice(0, 200);
    const rows = shown.map(([name, loaded, least, stored, leastStored, each]) =>
      row([name, short(loaded), short(stored), short(leastStored + least), each], ["", `least ${count(least)} B`, `least ${count(leastStored)} B`]),
    );
    const left = schedule.moved.length - shown.length;
    return [
      element("h3", {}, `Tensors, KiB${side}`),
      table(["", "loaded", "stored", "least", "loads/tile"], rows),
      left > 0 ? element("p", {}, `and ${left} more`) : null,
    ].filter(Boolean);
  });
}

function short(bytes) {
  return (bytes / 1024).toLocaleString("en-US", { maximumFractionDigits: 1 });
}

// The pinned tile

const MOST_LIVES = 100;

function showPinned() {
  const box = $("pinned");
  box.hidden = !state.pinned;
  box.replaceChildren();
  if (!state.pinned) return;
  const schedule = schedules[state.plot];
  const tile = schedule.tileCalled(state.pinned);
  const lives = schedule.livesOf(tile);
  const at = lives.indexOf(state.life);
  const first = Math.max(0, Math.min(at - MOST_LIVES / 2, lives.length - MOST_LIVES));
  const shown = lives.slice(first, first + MOST_LIVES);
  const button = (words, act) => element("button", { onclick: act }, words);
  box.append(
    element("h3", {}, `${state.pinned}, ${count(schedule.size(tile))} B, ${plural(lives.length, "life").replace("lifes", "lives")}`),
    element("div", { className: "bar" }, button("Previous (p)", () => step(-1)), button("Next (n)", () => step(1)), button("Unpin (Esc)", unpin)),
    element("div", { className: "lives" }, ...shown.map((life, i) => lifeEntry(schedule, life, first + i + 1))),
  );
}

function lifeEntry(schedule, life, number) {
  const entry = element("div", { className: life === state.life ? "life now" : "life" });
  const uses = schedule.uses(life);
  const some = uses.length > 5 ? [...uses.slice(0, 3), -1, uses[uses.length - 1]] : uses;
  entry.append(
    element("p", {}, element("b", {}, `${number}. @${hex(schedule.lives.address[life])}`), ` ${lifeWords(schedule, life)}`),
    ...some.map((op) => element("p", {}, op < 0 ? `… ${uses.length - 4} more` : `${schedule.lineOf(op)}: `, element("code", {}, op < 0 ? "" : schedule.text(op)))),
  );
  entry.addEventListener("click", () => pin(state.plot, life, true));
  return entry;
}

// Words

function lifeWords(schedule, life) {
  const { lives } = schedule;
  const came = lives.reload[life] ? "reload" : WORDS.kinds[lives.kind[life]];
  const ender = lives.ender[life];
  const left = WORDS.ends[lives.ended[life]] + (ender >= 0 ? ` at op ${count(ender)}` : "");
  return `${came}, ops ${count(lives.first[life])} to ${count(lives.last[life])}, cycles ${count(lives.begin[life])} to ${count(lives.until[life])}, then ${left}`;
}

function tipFor(hit, schedule) {
  const parts = [];
  const p = (words, soft = true) => parts.push(element("p", { className: soft ? "soft" : "" }, words));
  const code = (op) => parts.push(element("code", {}, schedule.text(op)));
  const at = state.axis === "op" ? (hit.op >= 0 ? `op ${count(hit.op)}` : "") : `cycle ${count(Math.floor(hit.value))}`;
  if (hit.band === "map" && hit.life >= 0) tipForLife(hit.life, schedule, parts, p, code);
  else if (hit.band === "live") {
    const curve = schedule.curves[state.axis];
    const bytes = curve.y[upperBound(curve.x, hit.value) - 1] || 0;
    parts.push(element("p", {}, element("b", {}, `${count(bytes)} B live`), ` of ${count(schedule.capacity)} at ${at}`));
    if (hit.op >= 0) {
      p(schedule.lineOf(hit.op));
      code(hit.op);
    }
  } else if (hit.band === "lane" && hit.op >= 0) tipForOp(hit.op, schedule, parts, p, code);
  return parts;
}

function tipForLife(life, schedule, parts, p, code) {
  const { lives } = schedule;
  const tile = lives.tile[life];
  const size = schedule.size(tile);
  const all = schedule.livesOf(tile);
  const kind = WORDS.kinds[lives.kind[life]] + (lives.reload[life] ? ", reload" : "");
  parts.push(element("p", {}, element("b", {}, schedule.tileName(tile)), ` ${kind}, ${count(size)} B, life ${all.indexOf(life) + 1} of ${all.length}`));
  p(`@${hex(lives.address[life])} to @${hex(lives.address[life] + size)}`);
  p(`live for ops ${count(lives.first[life])} to ${count(lives.last[life])}, cycles ${count(lives.begin[life])} to ${count(lives.until[life])}`);
  const ender = lives.ender[life];
  p(WORDS.ends[lives.ended[life]] + (ender >= 0 ? ` at op ${count(ender)}, ${schedule.lineOf(ender)}` : ""));
  p(`${schedule.lineOf(lives.first[life])}:`);
  code(lives.first[life]);
  if (lives.last[life] !== lives.first[life]) {
    p(`last use, ${schedule.lineOf(lives.last[life])}:`);
    code(lives.last[life]);
  }
}

function tipForOp(op, schedule, parts, p, code) {
  const { ops } = schedule;
  parts.push(element("p", {}, element("b", {}, `op ${count(op)}`), `, ${schedule.lineOf(op)}, ${schedule.queues[ops.queue[op]]}`));
  p(`cycles ${count(ops.start[op])} to ${count(ops.end[op])} (${count(ops.end[op] - ops.start[op])})`);
  code(op);
  if (!schedule.waited[op]) return;
  const by = ops.by[op];
  p(`waited ${count(schedule.waited[op])} cycles: ${WORDS.causeNames[ops.cause[op]]} (${WORDS.causes[ops.cause[op]]})`);
  if (by >= 0) {
    p(`for ${schedule.lineOf(by)}:`);
    code(by);
  }
}

// Scales: ticks, searches in sorted columns, shares of pixels; and the colours of the theme.

// Adds to each column the share of it that [from, to) covers.
function spread(columns, from, to) {
  const last = Math.min(columns.length, Math.ceil(to));
  for (let i = Math.max(0, Math.floor(from)); i < last; i++) columns[i] += Math.min(to, i + 1) - Math.max(from, i);
}

// The first i in [0, length) for which `test` holds, which holds for all that follow; `length` if there is none.
function search(length, test) {
  let low = 0;
  let high = length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (test(middle)) high = middle;
    else low = middle + 1;
  }
  return low;
}

function upperBound(values, value) {
  return search(values.length, (i) => values[i] > value);
}

function decimalStep(least) {
  const power = 10 ** Math.floor(Math.log10(least));
  return Math.max(1, [1, 2, 5, 10].map((n) => n * power).find((step) => step >= least));
}

function binaryStep(least) {
  return 2 ** Math.max(0, Math.ceil(Math.log2(least)));
}

function ticks(from, to, most, stepOf) {
  const step = stepOf((to - from) / Math.max(1, most));
  const found = [];
  for (let value = Math.max(0, Math.ceil(from / step)) * step; value <= to; value += step) found.push(value);
  return found;
}

function kib(bytes) {
  if (bytes >= 1 << 20) return `${bytes / (1 << 20)} MiB`;
  return bytes >= 1024 ? `${bytes / 1024} KiB` : `${bytes} B`;
}

function themeColours() {
  const style = getComputedStyle(document.documentElement);
  const names = ["paper", "line", "grid", "text", "soft", "accent", "live", "limit", "mark", "lane"];
  const colours = Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
  return { ...colours, dim: Number(style.getPropertyValue("--dim")) };
}

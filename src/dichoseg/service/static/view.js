// The page of `dichoseg view`: what the folders of one or two runs hold, read again every few seconds.

const find = selector => document.querySelector(selector);
const SECONDS = 5;
const FIRST = ["loss", "val_loss", "quick_max_f", "quick_mae", "quick_iou"];

let runs = [];
let known = "";  // the last answer

function element(name, attributes = {}, ...children) {
  const made = Object.assign(document.createElement(name), attributes);
  made.append(...children);
  return made;
}

function drawn(name, attributes) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

const short = value => (value == null ? "–" : Number(value.toPrecision(4)).toString());
const epochs = run => run.history.map(row => row.epoch);
const allEpochs = () => [...new Set(runs.flatMap(epochs))].sort((one, other) => one - other);
const chosen = () => Number(find("#epoch").value);

// ---- Curves

function chart(key) {
  const points = runs.map(run => run.history.filter(row => row[key] != null).map(row => [row.epoch, row[key]]));
  const values = points.flat().map(([, value]) => value);
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const [first, last] = [allEpochs()[0], allEpochs().at(-1)];
  const x = epoch => (100 * (epoch - first)) / Math.max(last - first, 1);
  const y = value => (high > low ? 100 - (100 * (value - low)) / (high - low) : 50);
  const svg = drawn("svg", { viewBox: "0 0 100 100", preserveAspectRatio: "none", "aria-hidden": true });
  svg.append(drawn("line", { x1: x(chosen()), x2: x(chosen()), y1: 0, y2: 100, class: "now" }));
  points.forEach((line, index) => {
    const places = line.length === 1 ? [line[0], line[0]] : line;  // a dot
    const text = places.map(([epoch, value]) => `${x(epoch)},${y(value)}`).join(" ");
    svg.append(drawn("polyline", { points: text, class: `run${index}` }));
  });
  const now = runs.map((run, index) => {
    const row = run.history.find(({ epoch }) => epoch === chosen());
    return element("span", { className: `run${index}` }, ` ${short(row?.[key])}`);
  });
  return element("figure", {},
    element("figcaption", {}, element("strong", {}, key), element("span", { className: "values" }, ...now)),
    svg,
    element("span", { className: "values" }, `${short(low)} to ${short(high)}`));
}

function showCurves() {
  const keys = new Set(runs.flatMap(({ history }) => history.flatMap(Object.keys)));
  keys.delete("epoch");
  const ordered = [...FIRST.filter(key => keys.delete(key)), ...keys];
  find("#curves").replaceChildren(...ordered.map(chart));
}

// ---- Pictures and scores

function picture(index, file, note) {
  const { name } = runs[index];
  const caption = element("figcaption", { className: `run${index}` }, note ? `${name}: ${note}` : name);
  if (!file) return element("figure", {}, caption);
  const image = element("img", { src: `runs/${index}/${file}`, alt: `${name}: ${file}` });
  return element("figure", {}, caption, element("a", { href: image.src, title: "Open in full size" }, image));
}

function showSheets() {
  const file = `epoch_${String(chosen()).padStart(4, "0")}.jpg`;
  find("#sheets").replaceChildren(...runs.map(({ sheets }, index) => (sheets.includes(file)
    ? picture(index, `sheets/${file}`, `epoch ${chosen()}`)
    : picture(index, null, `no sheet of epoch ${chosen()}`))));
}

function showScores() {
  const rows = runs.flatMap(({ name, scores }, index) =>
    Object.entries(scores).map(([model, values]) => [index, `${name}/${model}`, values]));
  const metrics = [...new Set(rows.flatMap(([, , values]) => Object.keys(values)))];
  const head = element("tr", {}, ...["model", ...metrics].map(text => element("th", { scope: "col" }, text)));
  const body = rows.map(([index, name, values]) => element("tr", { className: `run${index}` },
    element("td", {}, name), ...metrics.map(metric => element("td", {}, short(values[metric])))));
  find("#scores").replaceChildren(rows.length ? element("table", {}, head, ...body) : "None yet: a run with validation images has them when it ends.");
}

function showWorst() {
  find("#worst").replaceChildren(...runs.map(({ worst }, index) =>
    (worst ? picture(index, "worst.jpg") : picture(index, null, "none yet"))));
}

// ---- Page

function showEpoch() {
  find("#number").value = chosen();
  showCurves();
  showSheets();
}

function showAll() {
  document.title = runs.map(({ name }) => name).join(" and ") + ", dichoseg view";
  find("#title").replaceChildren(...runs.flatMap(({ name }, index) =>
    [index ? " and " : "", element("span", { className: `run${index}` }, name)]));
  const slider = find("#epoch"), wasLast = slider.value === slider.max;
  const shown = allEpochs();
  find("form").hidden = shown.length < 2;
  if (shown.length) {
    slider.min = shown[0];
    slider.max = shown.at(-1);
    if (wasLast) slider.value = slider.max;
    showEpoch();
  }
  showScores();
  showWorst();
}

async function watch() {
  for (;;) {
    try {
      const text = await (await fetch("runs")).text();
      if (text !== known) {
        runs = JSON.parse(text);
        known = text;
        showAll();
      }
      find("#status").textContent = allEpochs().length ? "" : "No epoch has ended yet.";
    } catch {
      find("#status").textContent = "The server does not answer; what is shown may be old.";
    }
    await new Promise(resolve => setTimeout(resolve, 1000 * SECONDS));
  }
}

find("#epoch").oninput = showEpoch;
watch();

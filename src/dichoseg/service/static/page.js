// The page of `dichoseg serve`: photographs go to /predict and /side_outputs of the same server, and nowhere else.

const find = (selector, within = document) => within.querySelector(selector);
const chosen = name => find(`input[name=${name}]:checked`).value;
const sleep = seconds => new Promise(resolve => setTimeout(resolve, 1000 * seconds));

let photograph = null;              // File or Blob with a name
let stop = new AbortController();   // stops the work for the photograph and the settings before
let working = null;                 // signal of the work that has not ended
let settings = "";                  // what the panels are for
let panels = [];

// ---- Requests

async function ask(path, options = {}) {
  const token = sessionStorage.getItem("token");
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  const response = await fetch(path, { ...options, headers }).catch(error => {
    throw error.name === "AbortError" ? error : new Error("The server does not answer.");
  });
  if (response.ok) return response;
  const { error } = await response.json().catch(() => ({ error: `the server answered ${response.status}` }));
  if (response.status === 401) {
    find("#access").hidden = false;
    find("#token").focus();
    throw new Error(token ? "This is not the token of this server." : "This server asks for its token.");
  }
  const wait = response.status === 429 ? Number(response.headers.get("Retry-After")) : 0;
  throw Object.assign(new Error(error), { wait });
}

// Sends the photograph, again as long as the queue is full; gives the answer and the seconds that it took.
async function send(text, path, parameters, signal) {
  const given = Object.entries(parameters).filter(([, value]) => value);
  for (;;) {
    tell(`${text}…`);
    try {
      const request = ask(`${path}?${new URLSearchParams(given)}`, { method: "POST", body: photograph, signal });
      return await timed(request.then(response => response.blob()));
    } catch (error) {
      if (!error.wait) throw error;
      await waitFor(error.wait, signal);
    }
  }
}

// Counts the seconds that some work takes; gives its result and the seconds.
async function timed(work) {
  const start = performance.now();
  const seconds = () => (performance.now() - start) / 1000;
  const timer = setInterval(() => { find("#seconds").textContent = `${seconds().toFixed(0)} s`; }, 1000);
  try {
    return [await work, seconds()];
  } finally {
    clearInterval(timer);
  }
}

async function waitFor(seconds, signal) {
  tell("The server is busy with other photographs. Trying again soon…");
  for (let left = seconds; left > 0; left--) {
    find("#seconds").textContent = `${left} s`;
    await sleep(1);
    signal.throwIfAborted();
  }
}

// ---- Messages

function tell(text, isError = false) {
  find("#status").textContent = text;
  find("#status").classList.toggle("error", isError);
  find("#seconds").textContent = "";
}

// ---- Results

function createPanel(model, size, detail) {
  const element = find("#panel").content.cloneNode(true).firstElementChild;
  const panel = { photograph, model, size, detail, element, result: null, sheet: null };
  const before = find(".before", element);
  before.src = URL.createObjectURL(photograph);
  before.alt = "The photograph before";
  before.onerror = () => { before.hidden = find(".split", element).hidden = true; };  // the browser cannot show this format
  find(".split", element).oninput = event => split(event.target.value);
  find(".download", element).onclick = () => download(panel).catch(error => tell(error.message, true));
  element.hidden = true;
  return panel;
}

function split(percent) {
  for (const { element } of panels) {
    find(".picture", element).style.setProperty("--split", `${percent}%`);
    find(".split", element).value = percent;
  }
}

const readSettings = () => ["#model", "#other", "#size", "#detail"].map(field => find(field).value);

// Stops the work before; gives the signal of the new one.
function startAnew() {
  stop.abort();
  stop = new AbortController();
  return stop.signal;
}

// Makes a panel for each chosen model; those that are still right stay.
function run() {
  if (!photograph || !find("#model").value || !find("#options").reportValidity()) return;
  startAnew();
  const [model, other, size, detail] = readSettings();
  const isRight = (panel, name) =>
    panel.photograph === photograph && panel.model === name && panel.size === size && panel.detail === detail;
  const before = panels;
  panels = [...new Set([model, other])].filter(Boolean)
    .map(name => before.find(panel => isRight(panel, name)) ?? createPanel(name, size, detail));
  for (const { element } of before.filter(panel => !panels.includes(panel))) {
    for (const image of element.querySelectorAll("img")) URL.revokeObjectURL(image.src);
  }
  find("#results").replaceChildren(...panels.map(({ element }) => element));
  settings = String(readSettings());
  work();
}

// Asks for all that is chosen and not there yet, also for what is chosen meanwhile.
async function work() {
  const { signal } = stop;
  const next = () =>
    panels.find(panel => !panel.result) ?? (chosen("view") === "sides" && panels.find(panel => !panel.sheet));
  if (working === signal || !next()) return;
  working = signal;
  try {
    for (let panel = next(); panel; panel = next()) await (panel.result ? drawSides : predict)(panel, signal);
    const hint = "Drag over the picture, or use the arrow keys, to compare it with the photograph.";
    tell(chosen("view") === "sides" ? "Done." : `Done. ${hint}`);
  } catch (error) {
    if (!signal.aborted) tell(error.message, true);
  }
  if (working === signal) working = null;
}

async function predict(panel, signal) {
  const { model, size, detail } = panel;
  const parameters = { model, size, detail, kind: "cutout" };
  const [result, seconds] = await send(`Predicting with ${model}`, "predict", parameters, signal);
  const after = find(".after", panel.element);
  after.src = URL.createObjectURL(result);
  after.alt = `Result of ${model}`;
  await after.decode();
  signal.throwIfAborted();
  panel.result = result;
  find(".caption", panel.element).textContent =
    `${model}: ${after.naturalWidth} × ${after.naturalHeight} pixels, ${seconds.toFixed(1)} s`;
  panel.element.hidden = false;
  split(find(".split", panels[0].element).value);
  show();
}

async function drawSides(panel, signal) {
  const { model, size } = panel;
  [panel.sheet] = await send(`Drawing the side outputs of ${model}`, "side_outputs", { model, size }, signal);
  const sheet = find(".sheet", panel.element), image = find("img", sheet);
  image.src = URL.createObjectURL(panel.sheet);
  image.alt = sheet.ariaLabel = `Features and side outputs of ${model}`;
  show();
}

// Shows the results as the options say.
function show() {
  const view = chosen("view"), isColored = chosen("background") === "color";
  find("#backgrounds").hidden = view !== "cutout";
  for (const panel of panels) {
    const picture = find(".picture", panel.element), sheet = find(".sheet", panel.element);
    picture.className = `picture ${view} ${isColored ? "colored" : ""}`;
    picture.style.setProperty("--color", find("#color").value);
    picture.hidden = view === "sides";
    sheet.hidden = view !== "sides" || !panel.sheet;
    find(".download", panel.element).hidden = view === "sides" && !panel.sheet;
  }
}

// ---- Download of what is shown

async function download({ model, result, sheet, element }) {
  const view = chosen("view"), isColored = view === "cutout" && chosen("background") === "color";
  let blob = view === "sides" ? sheet : result;
  if (isColored || view === "mask" || view === "uncertainty") blob = await drawn(find(".after", element), view);
  const link = document.createElement("a");
  const name = (photograph.name ?? "photograph").replace(/\.[^.]*$/, "");
  link.href = URL.createObjectURL(blob);
  link.download = `${name}_${view}_${model.replaceAll("/", "-")}.png`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

function drawn(image, view) {
  const canvas = document.createElement("canvas");
  const [width, height] = [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
  const context = canvas.getContext("2d");
  if (view === "cutout") {
    context.fillStyle = find("#color").value;
    context.fillRect(0, 0, width, height);
  }
  context.drawImage(image, 0, 0);
  if (view !== "cutout") {
    const pixels = context.getImageData(0, 0, width, height);
    for (let index = 0; index < pixels.data.length; index += 4) {
      const alpha = pixels.data[index + 3];
      const level = view === "mask" ? alpha : 255 - Math.abs(255 - 2 * alpha);
      pixels.data[index] = pixels.data[index + 1] = pixels.data[index + 2] = level;
      pixels.data[index + 3] = 255;
    }
    context.putImageData(pixels, 0, 0);
  }
  return new Promise(resolve => canvas.toBlob(resolve, "image/png"));
}

// ---- Input

function take(file) {
  if (!file) return;
  photograph = file;
  if (find("#file").files[0] !== file) find("#file").value = "";
  run();
}

async function takeExample(name) {
  const signal = startAnew();
  try {
    const response = await ask(`examples/${name}.jpg`, { signal });
    take(new File([await response.blob()], `${name}.jpg`, { type: "image/jpeg" }));
  } catch (error) {
    if (!signal.aborted) tell(error.message, true);
  }
}

function addExamples() {
  for (const name of ["birdcage", "ship", "bicycle", "tree"]) {
    const button = document.createElement("button");
    button.type = "button";
    button.onclick = () => takeExample(name);
    button.append(Object.assign(new Image(), { src: `examples/${name}.jpg`, alt: name, title: name }));
    find("#examples").append(button);
  }
}

// Waits until the models are loaded, and fills in their names.
async function start() {
  try {
    for (;;) {
      const { models, default: first, loading } = await (await ask("models")).json();
      if (!loading) {
        find("#model").replaceChildren(...models.map(({ name }) => new Option(name, name, name === first)));
        find("#other").replaceChildren(new Option("nothing", ""), ...models.map(({ name }) => new Option(name)));
        break;
      }
      tell(`The server is ${loading}…`);
      await sleep(1);
    }
    tell("");
    find("#access").hidden = true;
    run();
  } catch (error) {
    tell(error.message, true);
  }
}

const drop = find("#drop");
find("#file").onchange = event => take(event.target.files[0]);
document.onpaste = event => take(event.clipboardData.files[0]);
document.ondragover = event => { event.preventDefault(); drop.classList.add("over"); };
document.ondragleave = () => drop.classList.remove("over");
document.ondrop = event => { event.preventDefault(); drop.classList.remove("over"); take(event.dataTransfer.files[0]); };
find("#options").onsubmit = event => event.preventDefault();
find("#options").onchange = () => {
  show();
  if (String(readSettings()) !== settings) run();
  else if (panels.every(({ result }) => result)) work();
};
find("#color").oninput = () => { find("input[value=color]").checked = true; show(); };
find("#access").onsubmit = event => {
  event.preventDefault();
  sessionStorage.setItem("token", find("#token").value);
  start();
};
find("#curl").textContent = `curl -F image=@photo.jpg '${new URL("predict?kind=cutout", location)}' -o cut-out.png`;
addExamples();
start();

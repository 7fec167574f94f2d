// The page of `dichoseg serve`: photographs go to /predict and /side_outputs of the same server, and nowhere else.

const find = (selector, within = document) => within.querySelector(selector);
const chosen = name => find(`input[name=${name}]:checked`).value;
const sleep = seconds => new Promise(resolve => setTimeout(resolve, 1000 * seconds));

let photograph = null;              // File or Blob with a name
let stop = new AbortController();   // stops the requests for the photograph before
let panels = [];

// ---- Requests

async function ask(path, options = {}) {
  const token = sessionStorage.getItem("token");
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  const response = await fetch(path, { ...options, headers });
  if (response.ok) return response;
  const { error } = await response.json().catch(() => ({ error: `the server answered ${response.status}` }));
  if (response.status === 401) {
    find("#access").hidden = false;
    find("#token").focus();
  }
  const wait = response.status === 429 ? Number(response.headers.get("Retry-After")) : 0;
  throw Object.assign(new Error(error), { wait });
}

// Sends the photograph, again as long as the queue is full.
async function send(path, parameters, signal) {
  const given = Object.entries(parameters).filter(([, value]) => value);
  for (;;) {
    try {
      return await ask(`${path}?${new URLSearchParams(given)}`, { method: "POST", body: photograph, signal });
    } catch (error) {
      if (!error.wait) throw error;
      tell(`${error.message}…`);
      await sleep(error.wait);
      signal.throwIfAborted();
    }
  }
}

// ---- Messages

function tell(text, isError = false) {
  find("#status").textContent = text;
  find("#status").classList.toggle("error", isError);
}

// Shows a text with the seconds that the work takes, until it ends.
async function timed(text, work) {
  const start = performance.now();
  const seconds = () => (performance.now() - start) / 1000;
  const show = () => tell(seconds() < 2 ? `${text}…` : `${text}… ${seconds().toFixed(0)} s`);
  show();
  const timer = setInterval(show, 1000);
  try {
    return [await work, seconds()];
  } finally {
    clearInterval(timer);
  }
}

// ---- Results

function addPanel(model) {
  const element = find("#panel").content.cloneNode(true).firstElementChild;
  const panel = { model, element, result: null, sheet: null };
  const before = find(".before", element);
  before.src = URL.createObjectURL(photograph);
  before.alt = "The photograph before";
  before.onerror = () => { before.hidden = true; };  // the browser cannot show this format
  find(".split", element).oninput = event => split(event.target.value);
  find(".download", element).onclick = () => download(panel);
  element.hidden = true;
  find("#results").append(element);
  return panel;
}

function split(percent) {
  for (const { element } of panels) {
    find(".picture", element).style.setProperty("--split", `${percent}%`);
    find(".split", element).value = percent;
  }
}

// Predicts the photograph with each chosen model.
async function run() {
  stop.abort();
  const { signal } = stop = new AbortController();
  for (const image of document.querySelectorAll("#results img")) URL.revokeObjectURL(image.src);
  find("#results").replaceChildren();
  panels = [];
  if (!photograph || !find("#options").reportValidity()) return;
  try {
    panels = [...new Set([find("#model").value, find("#other").value])].filter(Boolean).map(addPanel);
    for (const panel of panels) {
      const parameters = { model: panel.model, kind: "cutout", size: find("#size").value, detail: find("#detail").value };
      const request = send("predict", parameters, signal).then(response => response.blob());
      const [result, seconds] = await timed(`Predicting with ${panel.model}`, request);
      panel.result = result;
      const after = find(".after", panel.element);
      after.src = URL.createObjectURL(result);
      after.alt = `Result of ${panel.model}`;
      await after.decode();
      signal.throwIfAborted();
      find(".caption", panel.element).textContent =
        `${panel.model}: ${after.naturalWidth} × ${after.naturalHeight} pixels, ${seconds.toFixed(1)} s`;
      panel.element.hidden = false;
    }
    split(50);
    tell("Done. Drag over the picture, or use the arrow keys, to compare it with the photograph.");
    await show();
  } catch (error) {
    if (!signal.aborted) tell(error.message, true);
  }
}

// Shows the results as the options say.
async function show() {
  const view = chosen("view"), isColored = chosen("background") === "color";
  find("#backgrounds").hidden = view !== "cutout";
  for (const panel of panels) {
    const picture = find(".picture", panel.element), sheet = find(".sheet", panel.element);
    picture.className = `picture ${view} ${isColored ? "colored" : ""}`;
    picture.style.setProperty("--color", find("#color").value);
    picture.hidden = view === "sides";
    sheet.hidden = view !== "sides" || !panel.sheet;
  }
  if (view === "sides") await showSides();
}

async function showSides() {
  const { signal } = stop;
  try {
    for (const panel of panels.filter(panel => panel.result && !panel.sheet)) {
      const request = send("side_outputs", { model: panel.model, size: find("#size").value }, signal);
      const [response] = await timed(`Drawing the side outputs of ${panel.model}`, request);
      panel.sheet = await response.blob();
      const sheet = find(".sheet", panel.element);
      find("img", sheet).src = URL.createObjectURL(panel.sheet);
      find("img", sheet).alt = `Features and side outputs of ${panel.model}`;
      sheet.ariaLabel = find("img", sheet).alt;
      sheet.hidden = chosen("view") !== "sides";
      tell("Done.");
    }
  } catch (error) {
    if (!signal.aborted) tell(error.message, true);
  }
}

// ---- Download of what is shown

async function download({ model, result, sheet, element }) {
  const view = chosen("view"), isColored = view === "cutout" && chosen("background") === "color";
  let blob = view === "sides" ? sheet : result;
  if (!blob) return;
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
      pixels.data.fill(level, index, index + 3);
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
  run();
}

async function takeExample(name) {
  tell(`Drawing the ${name}…`);
  try {
    const response = await ask(`examples/${name}.jpg`);
    take(new File([await response.blob()], `${name}.jpg`, { type: "image/jpeg" }));
  } catch (error) {
    tell(error.message, true);
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

// Fills in the names of the models, and waits until they are loaded.
async function start() {
  try {
    for (let isFirst = true; ; isFirst = false) {
      const { models, default: first, loading } = await (await ask("models")).json();
      if (isFirst) {
        find("#model").replaceChildren(...models.map(({ name }) => new Option(name, name, name === first)));
        find("#other").replaceChildren(new Option("nothing", ""), ...models.map(({ name }) => new Option(name)));
      }
      if (!loading) break;
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
find("#options").onchange = event => (event.target.matches("#model, #other, #size, #detail") ? run() : show());
find("#color").oninput = () => { find("input[value=color]").checked = true; show(); };
find("#access").onsubmit = event => {
  event.preventDefault();
  sessionStorage.setItem("token", find("#token").value);
  start();
};
find("#curl").textContent = `curl -F image=@photo.jpg '${new URL("predict?kind=cutout", location)}' -o cut-out.png`;
addExamples();
start();

const settings = JSON.parse(document.getElementById("settings").textContent);
const [files, choice, camera, pause, clear, strength, heat, status, live, results, facts] = [
  "files", "choice", "camera", "pause", "clear", "strength", "heat", "status", "live", "results", "facts",
].map((name) => document.getElementById(name));
// So many bars; so many pictures, for each takes memory: those of older results are dropped, what was found stays.
const BARS = 10, PICTURES = 40;
// No larger image goes to a model that takes any size; the memory of a browser is small.
const LARGEST = 2048;
// The first image takes longest, so it is a blank one, of so many pixels a side.
const WARM = 160;
const FOR = [213, 94, 0], AGAINST = [0, 114, 178];
let model;

function say(text, wrong = false) {
  status.textContent = text;
  status.classList.toggle("wrong", wrong);
}

function element(kind, name, text) {
  const made = document.createElement(kind);
  if (name) made.className = name;
  if (text !== undefined) made.textContent = text;
  return made;
}

const percent = (share) => `${(100 * share).toFixed(1)} %`;
const megabytes = (n) => `${(n / 1e6).toFixed(n < 1e7 ? 1 : 0)} MB`;
const reason = (error) => (error && error.message) || String(error);
// A page that computes without a break is never drawn.
const breath = () => new Promise((done) => setTimeout(done, 0));

// ONNX's metadata lie in the file beside the graph, and the runtime does not tell them: field 14 of the message, of
// messages with a key (1) and a value (2). https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
function metadata(bytes) {
  const found = {}, text = new TextDecoder();
  for (const [field, entry] of parts(bytes)) {
    if (field === 14) {
      const pair = Object.fromEntries(parts(entry));
      found[text.decode(pair[1])] = text.decode(pair[2]);
    }
  }
  return found;
}

function* parts(bytes) {
  let at = 0;
  const number = () => {
    for (let value = 0, weight = 1; ; weight *= 128) {
      const byte = bytes[at++];
      value += (byte & 127) * weight;
      if (!(byte & 128)) return value;
    }
  };
  while (at < bytes.length) {
    const tag = number(), size = number();
    // What has no length is a whole number, and was read by now.
    if (tag % 8 === 2) yield [tag >> 3, bytes.subarray(at, (at += size))];
  }
}

async function fetched() {
  const where = settings.model;
  // A model that was replaced is asked for anew; one that was not is not sent again.
  const answer = await fetch(where, { cache: "no-cache" }).catch((error) => {
    throw new Error(`The model cannot be loaded: ${where} beside this page (${reason(error)}).`);
  });
  if (!answer.ok) throw new Error(`The model is missing: there is no ${where} beside this page (${answer.status}).`);
  return new Uint8Array(await answer.arrayBuffer());
}

async function runtime() {
  const { script, wasm } = settings.runtime;
  const absolute = (path) => new URL(path, document.baseURI).href;
  const isOwn = new URL(absolute(script)).origin === location.origin;
  try {
    const ort = await import(absolute(script));
    ort.env.wasm.wasmPaths = { wasm: absolute(wasm) };
    // Threads share memory, which a browser allows only to pages that their server isolates from all others; and it
    // starts them from the page's own files only.
    if (!crossOriginIsolated || !isOwn) ort.env.wasm.numThreads = 1;
    // The page goes on being drawn while a worker computes; that, too, only the page's own files may start.
    ort.env.wasm.proxy = isOwn;
    return ort;
  } catch {
    // Why, a browser does not say.
    const hint = "To work without a network, the page needs a copy beside it: cvbow export --web FOLDER --runtime DIR.";
    throw new Error(`The runtime is missing: ${script} cannot be loaded. ${isOwn ? "" : hint}`.trim());
  }
}

async function start() {
  if (location.protocol === "file:") {
    throw new Error(
      "A browser lets no page from the disk read a model: serve the folder, with " +
        "“python3 -m http.server --directory FOLDER”, and open http://localhost:8000/.",
    );
  }
  say("Loading the model and the runtime, once …");
  const [bytes, ort] = await Promise.all([fetched(), runtime()]);
  // A worker takes the bytes away: it gets a copy.
  const session = await ort.InferenceSession.create(bytes.slice(), { executionProviders: ["wasm"] }).catch((error) => {
    throw new Error(`The model or the runtime cannot be used: ${reason(error)}.`);
  });
  let classes;
  try {
    classes = JSON.parse(metadata(bytes).classes);
  } catch {
    throw new Error(`${settings.model} does not tell its classes: it is none of cvbow's.`);
  }
  const [, height, width] = session.inputMetadata[0].shape;
  const fixed = typeof height === "number" ? { width, height } : null;
  model = { ort, session, classes, fixed, hasHeat: session.outputNames.includes("heat") };
  const side = fixed ? `${width} × ${height}` : "";
  facts.textContent =
    `${classes.length} classes, ${megabytes(bytes.length)}. ` +
    (fixed
      ? `This model sees images of ${side} pixels: all are brought to that size.`
      : `Images of more than ${limit()} pixels along the longer side are shrunk to that first.`) +
    ` ONNX Runtime ${ort.env.versions.web}, ${ort.env.wasm.numThreads > 1 ? "several threads" : "one thread"}.`;
  say("Warming up …");
  const size = fixed ?? { width: WARM, height: WARM };
  await answer(new ImageData(size.width, size.height));
  files.disabled = camera.disabled = false;
  strength.hidden = !model.hasHeat;
  say("Ready.");
}

const limit = () => settings.largest_side ?? LARGEST;

// Images

/** Return an image as cvbow reads it, upright, on the background, without its profile, and at the model's size. */
function pixelsOf(source, width, height) {
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.fillStyle = settings.background;
  context.fillRect(0, 0, width, height);
  context.drawImage(source, 0, 0, width, height);
  const whole = context.getImageData(0, 0, width, height);
  const scale = limit() / Math.max(width, height);
  const size = model.fixed ?? (scale < 1 ? shrunk(width, height, scale) : { width, height });
  return size.width === width && size.height === height ? whole : resized(whole, size);
}

const shrunk = (width, height, scale) => ({
  width: Math.max(1, rounded(width * scale)),
  height: Math.max(1, rounded(height * scale)),
});

/** As Python and the runtime round: a half to the even neighbour. */
function rounded(value) {
  const low = Math.floor(value);
  return value - low === 0.5 ? low + (low % 2) : Math.round(value);
}

/** Each pixel is the mean of the area that it covers, as OpenCV's INTER_AREA has it and as the model does it. */
function resized(image, size) {
  const [across, down] = [shares(image.width, size.width), shares(image.height, size.height)];
  const row = new Float32Array(size.width * 3), sums = new Float32Array(size.width * 3);
  const made = new ImageData(size.width, size.height);
  down.forEach(({ first, weights }, y) => {
    sums.fill(0);
    weights.forEach((share, nth) => {
      row.fill(0);
      const start = (first + nth) * image.width;
      across.forEach((column, x) => {
        column.weights.forEach((weight, n) => {
          const from = 4 * (start + column.first + n);
          for (let channel = 0; channel < 3; channel++) row[3 * x + channel] += weight * image.data[from + channel];
        });
      });
      row.forEach((value, at) => (sums[at] += share * value));
    });
    for (let x = 0; x < size.width; x++) {
      const at = 4 * (y * size.width + x);
      for (let channel = 0; channel < 3; channel++) made.data[at + channel] = rounded(sums[3 * x + channel]);
      made.data[at + 3] = 255;
    }
  });
  return made;
}

/** For each of `wanted` pixels along a side: the first of `length` that it covers, and what share of it each is. */
function shares(length, wanted) {
  const ratio = length / wanted;
  return Array.from({ length: wanted }, (_, nth) => {
    const start = nth * ratio, end = Math.min(start + ratio, length), first = Math.floor(start);
    const weights = [];
    for (let at = first; at < end; at++) weights.push((Math.min(end, at + 1) - Math.max(start, at)) / (end - start));
    return { first, weights };
  });
}

async function answer(image) {
  const { width, height, data } = image;
  const rgb = new Uint8Array(3 * width * height);
  for (let from = 0, to = 0; from < data.length; from += 4) {
    rgb[to++] = data[from];
    rgb[to++] = data[from + 1];
    rgb[to++] = data[from + 2];
  }
  const tensor = new model.ort.Tensor("uint8", rgb, [1, height, width, 3]);
  const started = performance.now();
  const outputs = await model.session.run({ [model.session.inputNames[0]]: tensor });
  const milliseconds = performance.now() - started;
  const probabilities = [...outputs.probabilities.data];
  const order = probabilities.map((_, at) => at).sort((a, b) => probabilities[b] - probabilities[a] || a - b);
  const bars = order.slice(0, BARS).map((at) => ({ name: model.classes[at], share: probabilities[at] }));
  return { bars, heatMap: outputs.heat, milliseconds };
}

// What is shown

function card(kind, title) {
  const made = element(kind, "card");
  made.append(element("div", "shown"), element("div", "found"));
  made.lastChild.append(element("h2", "", title));
  return made;
}

function show(made, image, found, size) {
  const [shown, text] = [made.querySelector(".shown"), made.querySelector(".found")];
  const best = found.bars[0];
  const picture = canvasOf(image);
  picture.setAttribute("role", "img");
  picture.setAttribute("aria-label", `The image: ${best.name}`);
  shown.replaceChildren(picture);
  const bars = element("ol", "bars");
  for (const { name, share } of found.bars) {
    const line = element("li"), meter = element("span", "meter"), filled = element("span");
    filled.style.width = `${100 * share}%`;
    meter.append(filled);
    meter.setAttribute("aria-hidden", "true");
    const called = element("span", "name", name);
    called.title = name;
    line.append(called, meter, element("span", "value", percent(share)));
    bars.append(line);
  }
  text.replaceChildren(text.querySelector("h2"), bars);
  if (found.heatMap) {
    picture.className = "under";
    shown.append(colours(found.heatMap));
    const legend = element("p", "hint");
    legend.append(element("span", "key for"), ` speaks for ${best.name}, `, element("span", "key against"), " against");
    text.append(legend);
  }
  const whole = `${size.width} × ${size.height}`, seen = `${image.width} × ${image.height}`;
  const sizes = whole === seen ? seen : `${whole}, seen at ${seen}`;
  text.append(element("p", "hint", `${sizes} pixels, ${Math.round(found.milliseconds)} ms`));
}

function canvasOf(image) {
  const canvas = document.createElement("canvas");
  canvas.width = image.width;
  canvas.height = image.height;
  canvas.getContext("2d").putImageData(image, 0, 0);
  return canvas;
}

/** Orange where a pixel speaks for the class, blue where against; of the pixels, one in 200 has the full colour. */
function colours({ data: values, dims: [, height, width] }) {
  const sorted = Float32Array.from(values, Math.abs).sort();
  const full = sorted[Math.floor(0.995 * (sorted.length - 1))] || sorted[sorted.length - 1] || 1;
  const map = new ImageData(width, height);
  values.forEach((value, at) => {
    map.data.set(value > 0 ? FOR : AGAINST, 4 * at);
    map.data[4 * at + 3] = 255 * Math.min(Math.abs(value) / full, 1);
  });
  const canvas = canvasOf(map);
  canvas.className = "heat";
  canvas.setAttribute("aria-hidden", "true");
  return canvas;
}

// Files, one after the other

const waiting = [];
let working = false;

async function take(list) {
  waiting.push(...list);
  if (working || !model) return;
  working = true;
  for (let done = 0; waiting.length; done++) {
    const file = waiting.shift();
    say(`${file.name} … ${waiting.length ? `${waiting.length} more wait` : ""}`);
    await breath();
    const made = card("li", file.name);
    results.prepend(made);
    try {
      const source = await createImageBitmap(file, { colorSpaceConversion: "none" });
      const size = { width: source.width, height: source.height };
      const image = pixelsOf(source, size.width, size.height);
      source.close();
      const found = await answer(image);
      show(made, image, found, size);
      say(`${file.name}: ${found.bars[0].name}, ${percent(found.bars[0].share)}.`);
    } catch (error) {
      made.querySelector(".found").append(element("p", "wrong", `No answer: ${reason(error)}`));
      say(`${file.name}: no answer.`, true);
    }
    clear.hidden = false;
    results.children[PICTURES]?.querySelector(".shown").replaceChildren(element("span", "hint", "no longer shown"));
  }
  working = false;
}

const images = (transfer) => [...transfer.files];

files.addEventListener("change", () => {
  take([...files.files]);
  files.value = "";
});
for (const kind of ["dragenter", "dragover"]) {
  addEventListener(kind, (event) => {
    event.preventDefault();
    document.body.classList.add("over");
  });
}
addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) document.body.classList.remove("over");
});
addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("over");
  take(images(event.dataTransfer));
});
addEventListener("paste", (event) => take(images(event.clipboardData)));
clear.addEventListener("click", () => {
  waiting.length = 0;
  results.replaceChildren();
  clear.hidden = true;
  say("Ready.");
  files.focus();
});
heat.addEventListener("input", () => {
  document.documentElement.style.setProperty("--heat", heat.value / 100);
});

// The camera

let stream;

async function watch() {
  const video = document.createElement("video");
  video.muted = video.playsInline = true;
  video.srcObject = stream;
  await video.play();
  const mine = stream, made = card("div", "Camera");
  live.replaceChildren(made);
  live.hidden = pause.hidden = false;
  let last;
  while (stream === mine) {
    await new Promise((done) => setTimeout(done, 30));
    if (pause.getAttribute("aria-pressed") === "true" || working || !video.videoWidth) continue;
    const size = { width: video.videoWidth, height: video.videoHeight };
    const image = pixelsOf(video, size.width, size.height);
    const found = await answer(image);
    if (stream !== mine) break;
    show(made, image, found, size);
    // Said when it changes: a voice that says every frame says nothing.
    if (found.bars[0].name !== last) say(`Camera: ${(last = found.bars[0].name)}.`);
  }
}

function stop() {
  for (const track of stream.getTracks()) track.stop();
  stream = undefined;
  live.hidden = pause.hidden = true;
  hold(false);
  camera.textContent = "Use the camera";
  camera.setAttribute("aria-pressed", "false");
  say("The camera is off.");
}

function hold(paused) {
  pause.setAttribute("aria-pressed", String(paused));
  pause.textContent = paused ? "Go on" : "Pause";
}

camera.addEventListener("click", async () => {
  if (stream) return stop();
  try {
    if (!navigator.mediaDevices) throw new Error("a browser gives it only to pages from https:// or from localhost");
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
    camera.textContent = "Stop the camera";
    camera.setAttribute("aria-pressed", "true");
    await watch();
  } catch (error) {
    if (stream) stop();
    say(`No camera: ${reason(error)}.`, true);
  }
});
pause.addEventListener("click", () => hold(pause.getAttribute("aria-pressed") !== "true"));

start().catch((error) => say(reason(error), true));

"use strict";
const model = JSON.parse(document.getElementById("model").textContent);
const byId = (id) => document.getElementById(id);
const side = model.side, ink = model.dark ? "#fff" : "#000", ground = model.dark ? "#000" : "#fff";
const SHOWN = 10, LARGEST = 4096, WARM_UP = 30, MEASURED = 30;

/* ---- the network ---- */

const bytesOf = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));

/* The first of the modules that this browser runs: their code differs, their data is the same. */
async function load() {
  const data = bytesOf(model.data);
  for (const [kind, code] of [["WebAssembly with SIMD", model.simd], ["WebAssembly", model.plain]]) {
    const head = bytesOf(code), whole = new Uint8Array(head.length + data.length);
    whole.set(head);
    whole.set(data, head.length);
    if (WebAssembly.validate(whole)) return { kind, ...(await WebAssembly.instantiate(whole)).instance.exports };
  }
  throw new Error("this browser runs no WebAssembly");
}
const network = load();

/* Logits and milliseconds of an image: bytes, row by row, the channels of a pixel beside each other. */
async function classify(pixels) {
  const { kind, memory, run, pixels: input, logits: output } = await network;
  new Uint8Array(memory.buffer, input(), pixels.length).set(pixels);
  run();
  const logits = Array.from(new Float32Array(memory.buffer, output(), model.classes.length));
  repeat(run, WARM_UP); /* browsers compile what runs often once more */
  return { kind, logits, milliseconds: repeat(run, MEASURED) };
}

/* Milliseconds a call, of calls for so many milliseconds. */
function repeat(call, milliseconds) {
  let calls = 0, passed = 0;
  for (const start = performance.now(); passed < milliseconds; passed = performance.now() - start, calls++) call();
  return passed / calls;
}

function probabilities(logits) {
  const largest = Math.max(...logits), powers = logits.map((logit) => Math.exp(logit - largest));
  const total = powers.reduce((sum, power) => sum + power, 0);
  return powers.map((power) => power / total);
}

/* ---- from an image to what the network reads, as the search resized its images ---- */

/* One axis, of `from` numbers to `to`, by triangles as wide as what they average; rounded to bytes. */
function resampleRows(source, rows, from, to) {
  const result = new Uint8ClampedArray(rows * to * 3), scale = from / to, support = Math.max(scale, 1);
  for (let at = 0; at < to; at++) {
    const centre = (at + 0.5) * scale;
    const first = Math.max(0, Math.trunc(centre - support + 0.5)), end = Math.min(from, Math.trunc(centre + support + 0.5));
    const weights = [];
    for (let x = first; x < end; x++) weights.push(Math.max(0, 1 - Math.abs((x - centre + 0.5) / support)));
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    for (let row = 0; row < rows; row++)
      for (let channel = 0; channel < 3; channel++) {
        let sum = 0;
        for (let x = first; x < end; x++) sum += weights[x - first] * source[(row * from + x) * 3 + channel];
        result[(at * rows + row) * 3 + channel] = Math.floor(sum / total + 0.5); /* turned: columns are rows now */
      }
  }
  return result;
}

const roundToEven = (value) => (value % 1 === 0.5 ? 2 * Math.round(value / 2) : Math.round(value));

/* Pixels of four bytes to those that the network reads. */
function fit(rgba, width, height) {
  let pixels = new Uint8ClampedArray(width * height * 3);
  for (let i = 0; i < width * height; i++) for (let c = 0; c < 3; c++) pixels[i * 3 + c] = rgba[i * 4 + c];
  const shorter = Math.min(width, height), wide = Math.trunc((model.shorter * width) / shorter);
  const high = Math.trunc((model.shorter * height) / shorter);
  if (shorter !== model.shorter) {
    pixels = resampleRows(pixels, height, width, wide);
    pixels = resampleRows(pixels, wide, height, high);
  }
  const left = roundToEven((wide - side) / 2), top = roundToEven((high - side) / 2);
  const result = new Uint8Array(side * side * model.channels);
  for (let y = 0; y < side; y++)
    for (let x = 0; x < side; x++) {
      const [red, green, blue] = pixels.subarray(((top + y) * wide + left + x) * 3);
      const grey = red === green && green === blue ? red : Math.trunc(0.2989 * red + 0.587 * green + 0.114 * blue);
      result.set(model.channels === 1 ? [grey] : [red, green, blue], (y * side + x) * model.channels);
    }
  return result;
}

/* ---- the page ---- */

function showImage(pixels) {
  const canvas = byId("seen"), context = canvas.getContext("2d");
  canvas.width = canvas.height = side;
  const image = context.createImageData(side, side);
  for (let i = 0; i < side * side; i++) {
    const at = i * model.channels, step = model.channels === 1 ? 0 : 1;
    image.data.set([pixels[at], pixels[at + step], pixels[at + 2 * step], 255], i * 4);
  }
  context.putImageData(image, 0, 0);
  canvas.hidden = false;
}

const percent = (value) => `${(100 * value).toFixed(1)} %`;

function showClasses(logits) {
  const found = probabilities(logits);
  const order = [...found.keys()].sort((a, b) => found[b] - found[a] || a - b);
  byId("best").textContent = `${model.classes[order[0]]}, ${percent(found[order[0]])}`;
  const rows = order.slice(0, SHOWN).map((index) => {
    const row = document.createElement("li"), bar = document.createElement("i");
    for (const text of [model.classes[index], percent(found[index])]) {
      row.append(Object.assign(document.createElement("span"), { textContent: text }));
    }
    bar.style.backgroundSize = `${100 * found[index]}% 100%`;
    bar.setAttribute("aria-hidden", "true");
    row.append(bar);
    return row;
  });
  byId("classes").replaceChildren(...rows);
}

/* Classifies what a canvas holds, and shows it. */
async function look(canvas) {
  const { width, height } = canvas;
  const pixels = fit(canvas.getContext("2d").getImageData(0, 0, width, height).data, width, height);
  const { kind, logits, milliseconds } = await classify(pixels);
  byId("problem").textContent = "";
  showImage(pixels);
  showClasses(logits);
  byId("time").textContent = `${milliseconds.toPrecision(3)} ms an image, ${kind}`;
}

async function openFile(file) {
  if (!file) return;
  let image;
  try {
    image = await createImageBitmap(file);
  } catch {
    byId("problem").textContent = `${file.name} is no image that this browser reads.`;
    return;
  }
  const scale = Math.min(1, LARGEST / Math.max(image.width, image.height)), canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(image.width * scale));
  canvas.height = Math.max(1, Math.round(image.height * scale));
  const context = canvas.getContext("2d");
  context.fillStyle = "rgb(128, 128, 128)"; // behind what is transparent, as in training
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(image, 0, 0, canvas.width, canvas.height);
  await look(canvas).catch(report);
}

function report(error) {
  byId("problem").textContent = `The network cannot run: ${error.message}.`;
}

for (const id of ["file", "photo"]) {
  byId(id).addEventListener("change", (event) => {
    openFile(event.target.files[0]);
    event.target.value = "";
  });
}
document.addEventListener("paste", (event) => openFile(event.clipboardData.files[0]));
for (const kind of ["dragover", "dragleave", "drop"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    byId("drop").classList.toggle("over", kind === "dragover");
    if (kind === "drop") openFile(event.dataTransfer.files[0]);
  });
}
byId("facts").textContent = model.facts;
network.catch(report);

/* ---- drawing, for small grey images ---- */

function startDrawing() {
  const canvas = byId("drawing"), context = canvas.getContext("2d", { willReadFrequently: true });
  let last = null, pen = { x: canvas.width / 2, y: canvas.height / 2, down: false };

  function clear() {
    context.fillStyle = ground;
    context.fillRect(0, 0, canvas.width, canvas.height);
  }
  function line(from, to) {
    Object.assign(context, { strokeStyle: ink, lineWidth: canvas.width / 9, lineCap: "round" });
    context.beginPath();
    context.moveTo(from.x, from.y);
    context.lineTo(to.x, to.y);
    context.stroke();
  }
  function place(event) {
    const box = canvas.getBoundingClientRect(), scale = canvas.width / box.width;
    return { x: (event.clientX - box.left) * scale, y: (event.clientY - box.top) * scale };
  }
  const lookAgain = () => look(canvas).catch(report);

  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    last = place(event);
    line(last, last);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!last) return;
    const next = place(event);
    line(last, next);
    last = next;
  });
  for (const kind of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(kind, () => {
      if (last) lookAgain();
      last = null;
    });
  }
  canvas.addEventListener("keydown", (event) => {
    const step = canvas.width / 16;
    const moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step], " ": [0, 0] };
    const move = moves[event.key];
    if (!move) return;
    event.preventDefault();
    if (event.key === " ") pen.down = !pen.down;
    const inside = (value) => Math.min(canvas.width - step, Math.max(step, value));
    const next = { ...pen, x: inside(pen.x + move[0]), y: inside(pen.y + move[1]) };
    if (pen.down) {
      line(pen, next);
      lookAgain();
    }
    pen = next;
    byId("draw-help").textContent = `The pen is ${pen.down ? "down" : "up"}, ` +
      `${Math.round(100 * pen.x / canvas.width)} % from the left and ${Math.round(100 * pen.y / canvas.height)} % from the top.`;
  });
  byId("clear").addEventListener("click", clear);
  clear();
  byId("draws").hidden = false;
}
if (model.draw) startDrawing();

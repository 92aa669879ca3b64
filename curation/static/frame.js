// Crop and turn one picture: by dragging, or by keys that move its sides. What the form holds is what is written.
// The crop is in pixels of the picture as it lies; the picture, the crop and the shade turn together.

import { byId, doing, early, own, notice, send, told } from "./desk.js";

const form = byId("framing"), view = byId("crop");
const NAMES = ["left", "top", "right", "bottom"];
const SIDES = { ArrowLeft: 0, ArrowUp: 1, ArrowRight: 2, ArrowDown: 3 };
const STEP = 0.02; // of a side of the picture that an arrow cuts off
const LEAST = 16; // pixels of a crop, as the desk has it
const NEAR = 14; // pixels of the screen within which a side is taken hold of
const TURNED = ["", ", turned to the right", ", turned upside down", ", turned to the left"];
const size = [Number(view.dataset.width), Number(view.dataset.height)];
let sent = false;
own.waits = () => sent;

const fields = () => form.elements;
const box = () => NAMES.map((name) => Number(fields()[name].value));
const turns = () => Number(fields().turns.value);

// ---- showing

function draw() {
  const [left, top, right, bottom] = box(), [width, height] = size, turned = turns();
  const inside = `M${left} ${top}H${right}V${bottom}H${left}Z`;
  byId("shade").setAttribute("d", `M0 0H${width}V${height}H0Z${inside}`);
  byId("edge").setAttribute("d", inside);
  const moves = ["", `translate(${height} 0) rotate(90)`, `translate(${width} ${height}) rotate(180)`, `translate(0 ${width}) rotate(270)`];
  byId("turning").setAttribute("transform", moves[turned]);
  view.setAttribute("viewBox", turned % 2 ? `0 0 ${height} ${width}` : `0 0 ${width} ${height}`);
  const [wide, high] = turned % 2 ? [bottom - top, right - left] : [right - left, bottom - top];
  byId("readout").textContent = `${wide.toLocaleString("en")} × ${high.toLocaleString("en")} pixels${TURNED[turned]}`;
}

function put(values) {
  NAMES.forEach((name, side) => (fields()[name].value = Math.round(values[side])));
  draw();
}

// ---- by keys

// Which side of the picture as it lies is at a side of what is shown.
const lying = (side) => (side - turns() + 4) % 4;

function move(side, share) {
  const values = box(), axis = side % 2, inward = side < 2 ? 1 : -1, length = size[axis];
  const moved = values[side] + inward * share * length;
  const [low, high] = side < 2 ? [0, values[side + 2] - LEAST] : [values[side - 2] + LEAST, length];
  values[side] = Math.min(Math.max(moved, low), high);
  put(values);
}

Object.assign(doing, {
  cut: (button) => move(lying(SIDES[button.dataset.key]), STEP),
  give: (button) => move(lying(SIDES[button.dataset.key.replace("Shift+", "")]), -STEP),
  turn: (button) => {
    fields().turns.value = (turns() + (button.dataset.key === "]" ? 1 : 3)) % 4;
    draw();
  },
  whole: () => {
    fields().turns.value = 0;
    put([0, 0, ...size]);
  },
});

addEventListener("keydown", (event) => {
  const isTyping = event.target.closest?.("input, select") || byId("help").matches(":popover-open");
  if (!form || sent || isTyping || !(event.key in SIDES) || event.ctrlKey || event.altKey || event.metaKey) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  document.querySelector(`[data-key="${event.shiftKey ? "Shift+" : ""}${event.key}"]`).click();
}, true);

// ---- by dragging

function pointOf(event) {
  const { x, y } = new DOMPoint(event.clientX, event.clientY).matrixTransform(byId("turning").getScreenCTM().inverse());
  return [Math.min(Math.max(x, 0), size[0]), Math.min(Math.max(y, 0), size[1])];
}

function heldBy(event) {
  const { a, b } = byId("turning").getScreenCTM(); // how long a pixel of the picture is on the screen
  const values = box(), at = pointOf(event), reach = NEAR / Math.hypot(a, b);
  const isBeside = (axis) => at[axis] > values[axis] - reach && at[axis] < values[axis + 2] + reach;
  return [0, 1, 2, 3].filter((side) => Math.abs(at[side % 2] - values[side]) < reach && isBeside(1 - (side % 2)));
}

let drag = null; // {from, held}
function drawn(event) {
  const at = pointOf(event), values = box();
  if (!drag.held.length) return NAMES.map((_, side) => (side < 2 ? Math.min : Math.max)(at[side % 2], drag.from[side % 2]));
  for (const side of drag.held) {
    const other = values[(side + 2) % 4];
    values[side] = side < 2 ? Math.min(at[side % 2], other - LEAST) : Math.max(at[side % 2], other + LEAST);
  }
  return values;
}

// ---- writing

async function write() {
  sent = true;
  byId("readout").textContent = "The copy is being written.";
  const answer = await send("/frame", new URLSearchParams(new FormData(form)));
  told(answer);
  if (answer.error) {
    sent = false;
    early.length = 0;
    draw();
    return notice(answer.error);
  }
  if (fields().back.value) location.assign(fields().back.value);
  else location.reload();
}

if (form) {
  view.addEventListener("pointerdown", (event) => {
    if (event.button || sent) return;
    event.preventDefault();
    view.setPointerCapture(event.pointerId);
    drag = { from: pointOf(event), held: heldBy(event) };
  });
  view.addEventListener("pointermove", (event) => {
    if (!drag) return;
    const values = drawn(event);
    if (values[2] - values[0] >= LEAST && values[3] - values[1] >= LEAST) put(values);
  });
  for (const end of ["pointerup", "pointercancel"]) view.addEventListener(end, () => (drag = null));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (!sent) write();
  });
  form.addEventListener("input", draw);
  draw();
}

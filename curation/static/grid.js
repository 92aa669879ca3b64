// A grid of pictures that keys act on: arrows go, keys mark, and what is marked is decided as one batch.
// What a key would do to several pictures is said first, and written after Enter.

import { allAnswered, byId, choose, count, doing, drain, early, get, hear, lettered, newAction, notice, own, page, past, say, send, takeAlong, told } from "./desk.js";

const grids = [...document.querySelectorAll(".grid")];
const act = byId("act"), asking = byId("ask"), closer = byId("closer");
const MOST_CELLS = 1e6; // more than a grid has: orders the pictures of two grids
const marked = new Map(); // image_id to where it is, so that rows have the order of the page
const ranged = new Set(); // those that the range marked
let grid = grids[0]; // the one that keys act on
let anchor = null; // {grid, at}: where the range begins
let extends_ = false; // whether arrows mark, too
let busy = 0; // how many answers keys wait for
let underway = 0; // decisions that are not answered yet
const leaving = new Set(); // image_ids that they are about
const loads = new Map(); // a grid to the number of its last request: what an earlier one answers is out of date

const cellsOf = (each = grid) => [...each.querySelectorAll(".cell")];
const boxOf = (cell) => cell.querySelector("input");
const idOf = (cell) => cell.dataset.imageId;
const wordsOf = (cell) => [cell.querySelector(".text").textContent, cell.title].filter(Boolean).join(" · ");
const framed = (each = grid) => each.querySelector(".cell.framed");
const firstOf = (each) => Number(each.dataset.first);
const place = (cell) => {
  const side = cell.closest(".grid");
  return MOST_CELLS * grids.indexOf(side) + firstOf(side) + cellsOf(side).indexOf(cell);
};
own.waits = () => busy > 0;

// While this runs keys wait, in their order.
async function waited(promise) {
  busy += 1;
  try {
    return await promise;
  } finally {
    busy -= 1;
    drain();
  }
}

// ---- which picture keys act on

function frame(cell, { focus = true } = {}) {
  for (const each of cellsOf(cell?.closest(".grid"))) {
    each.classList.toggle("framed", each === cell);
    boxOf(each).tabIndex = each === cell ? 0 : -1;
  }
  if (!cell || !focus) return;
  grid = cell.closest(".grid");
  for (const each of grids) each.classList.toggle("acted", each === grid);
  boxOf(cell).focus({ preventScroll: true });
  cell.scrollIntoView({ block: "nearest" });
  if (closer.open) showCloser();
}

function columnsOf(cells) {
  const other = cells.findIndex((each) => each.offsetTop !== cells[0].offsetTop);
  return other < 0 ? cells.length : other;
}

async function go(key, extend) {
  const cells = cellsOf();
  if (!cells.length) return;
  const from = Math.max(0, cells.indexOf(framed()));
  const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columnsOf(cells), ArrowDown: columnsOf(cells), Home: -from, End: cells.length - 1 - from }[key];
  if (extend && !anchor) anchor = { grid, at: firstOf(grid) + from };
  const to = from + step;
  if (extend) extendTo(cells[Math.min(Math.max(to, 0), cells.length - 1)]);
  if (to < 0 && Number(grid.dataset.part) > 1) await turn(-1, "last");
  else if (to >= cells.length && Number(grid.dataset.part) < Number(grid.dataset.parts)) await turn(1);
  else if (to >= 0 && to < cells.length) frame(cells[to]);
  else if (Math.abs(step) > 1 && to >= cells.length) frame(cells.at(-1));
  if (extend) extendTo(framed());
  else restart();
}

// ---- marking

function mark(cell, on) {
  if (on) marked.set(idOf(cell), place(cell));
  else marked.delete(idOf(cell));
  boxOf(cell).checked = on;
}

function counted() {
  byId("marked").textContent = marked.size.toLocaleString("en");
  byId("acted").textContent = marked.size ? "" : "keys act on the framed picture";
}

function restart() {
  anchor = null;
  ranged.clear();
}

function extendTo(cell) {
  if (!cell || anchor?.grid !== grid) return restart();
  const to = firstOf(grid) + cellsOf().indexOf(cell);
  const [low, high] = [Math.min(anchor.at, to), Math.max(anchor.at, to)];
  cellsOf().forEach((each, number) => {
    const at = firstOf(grid) + number;
    if (at >= low && at <= high) {
      if (!marked.has(idOf(each))) ranged.add(idOf(each));
      mark(each, true);
    } else if (ranged.delete(idOf(each))) mark(each, false);
  });
  counted();
}

function unmark() {
  marked.clear();
  restart();
  for (const each of grids.flatMap((side) => cellsOf(side))) boxOf(each).checked = false;
  counted();
}

async function markAll() {
  const { ids, total, error } = await get(`/ids/${page}?${grid.dataset.query}`);
  if (error) return notice(error);
  ids.forEach((id, at) => marked.set(id, MOST_CELLS * grids.indexOf(grid) + at));
  for (const each of cellsOf()) boxOf(each).checked = marked.has(idOf(each));
  restart();
  counted();
  if (total > ids.length) say(`The first ${ids.length.toLocaleString("en")} of ${total.toLocaleString("en")} are marked: a key decides about no more at once.`);
}

// ---- parts of a grid

// Gives whether there is such a part: a refusal is shown.
async function load(side, part, { shown, at = 0 } = {}) {
  const asked = new URLSearchParams(side.dataset.query);
  asked.set("part", part);
  if (shown) asked.set("show", shown);
  const number = outdate(side);
  const part_ = await get(`/cells/${page}?${asked}`);
  if (number !== loads.get(side)) return true;
  if (part_.error) return notice(part_.error);
  const before = framed(side), kept = before && idOf(before);
  side.innerHTML = part_.html;
  lettered();
  read(side, part_);
  for (const each of cellsOf(side)) if (leaving.has(idOf(each))) each.remove();
  const cells = cellsOf(side);
  for (const each of cells) if (marked.has(idOf(each))) mark(each, true);
  const next = cells.find((each) => idOf(each) === (shown ?? kept)) ?? cells.at(Math.min(at, cells.length - 1));
  const focus = side === grid && !document.activeElement?.matches(".typed input, .filters *") && !closer.open && !asking.open;
  if (next) frame(next, { focus });
  return true;
}

function outdate(side) {
  loads.set(side, (loads.get(side) ?? 0) + 1);
  return loads.get(side);
}

function read(side, { part, parts, first, total }) {
  Object.assign(side.dataset, { part, parts, first, total });
}

async function turn(by, at) {
  const part = Number(grid.dataset.part) + by;
  if (part < 1 || part > Number(grid.dataset.parts)) return;
  framed()?.classList.remove("framed");
  await waited(load(grid, part, { at: at === "last" ? Infinity : 0 }));
}

// A filter changes the grid alone, for which the desk needs a fraction of the time that the whole page takes.
async function filter(form) {
  const asked = new URLSearchParams([...new FormData(form)].filter(([, value]) => value));
  const before = grid.dataset.query;
  grid.dataset.query = asked;
  document.activeElement.blur(); // keys act on the grid again
  unmark();
  if (!(await waited(load(grid, 1)))) return (grid.dataset.query = before);
  history.pushState(null, "", `?${asked}`);
  byId("left").textContent = Number(grid.dataset.total).toLocaleString("en");
}
addEventListener("popstate", () => location.reload());

// To another page, when what was pressed before has been answered; keys that come meanwhile go along.
async function leaveFor(address) {
  busy += 1; // until the page is gone
  await allAnswered();
  takeAlong();
  location.assign(address);
}

// ---- deciding

function acted() {
  if (marked.size) return [...marked].sort(([, one], [, other]) => one - other).map(([id]) => id);
  return framed() ? [idOf(framed())] : [];
}

// What the model was shown to say of a picture: that is agreed to, and nothing that it says by now.
const saidOf = (id) => document.querySelector(`.cell[data-image-id="${id}"]`)?.dataset.says ?? "";

async function decide(key, name = "") {
  const ids = acted(), action = newAction();
  if (key === "y" && ids.length === 1) name = saidOf(ids[0]);
  if (!ids.length) return say("There is no picture to decide about.");
  const body = new URLSearchParams([["key", key], ["name", name], ["action", action], ...ids.map((id) => ["image_id", id])]);
  if (ids.length > 1 && key !== " ") {
    const answer = await waited(send(`/${page}`, body));
    if (answer.error) return notice(answer.error);
    if (!(await agreed(answer.ask))) return framed() && boxOf(framed()).focus();
    body.set("sure", answer.digest);
  }
  leave(ids);
  if (key !== " ") past.push({ action });
  underway += 1;
  let answer = await send(`/${page}`, body);
  while (answer.ask && (await agreed(answer.ask))) { // what would be written has changed meanwhile
    body.set("sure", answer.digest);
    answer = await send(`/${page}`, body);
  }
  underway -= 1;
  if (!underway) leaving.clear();
  const refused = answer.error || answer.ask ? past.findIndex((each) => each.action === action) : -1;
  if (refused >= 0) past.splice(refused, 1);
  if (!answer.error && !answer.ask && key !== " ") count(-answer.number);
  told(answer);
  hear(answer.error || answer.ask ? "not written" : answer.said);
  await refresh();
}

let question = Promise.resolve(); // one is open at a time
function agreed(words) {
  question = question.then(() => agreedTo(words));
  return question;
}

function agreedTo(words) {
  byId("ask-words").replaceChildren(...words.map((each) => Object.assign(document.createElement("li"), { textContent: each })));
  asking.returnValue = "";
  asking.showModal();
  return new Promise((done) => asking.addEventListener("close", () => done(asking.returnValue === "yes"), { once: true }));
}

// The page moves on: what was decided goes, and the next picture is framed.
function leave(ids) {
  const gone = new Set(ids);
  for (const id of ids) leaving.add(id);
  for (const side of grids) {
    outdate(side);
    const cells = cellsOf(side), from = Math.max(0, cells.indexOf(framed(side)));
    const next = [...cells.slice(from), ...cells.slice(0, from).reverse()].find((each) => !gone.has(idOf(each)));
    for (const each of cells) if (gone.has(idOf(each))) each.remove();
    if (next) frame(next, { focus: side === grid });
  }
  unmark();
}

async function refresh(options = {}) {
  if (underway) return;
  const all = Promise.all(grids.map((side) => load(side, side.dataset.part, { at: cellsOf(side).indexOf(framed(side)), ...options })));
  await (grids.some((side) => !cellsOf(side).length) || options.shown ? waited(all) : all);
  byId("left").textContent = grids.reduce((sum, side) => sum + Number(side.dataset.total), 0).toLocaleString("en");
}

// What comes back is marked, to be decided anew; only what is in a grid of this page: nobody decides what is not shown.
own.undone = async (undone) => {
  unmark();
  const wanted = new Set(undone), found = new Map();
  for (const [number, side] of grids.entries()) {
    const { ids = [] } = await get(`/ids/${page}?${side.dataset.query}`);
    ids.forEach((id, at) => wanted.has(id) && found.set(id, MOST_CELLS * number + at));
  }
  const [shown] = found.keys();
  await refresh({ shown });
  if (undone.length === 1) return;
  for (const [id, at] of found) marked.set(id, at);
  for (const each of grids.flatMap((side) => cellsOf(side))) if (marked.has(idOf(each))) mark(each, true);
  counted();
};

for (const arrow of ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End"]) {
  own.keys[arrow] = () => asking.open || go(arrow, extends_);
  own.keys[`Shift+${arrow}`] = () => asking.open || go(arrow, true);
}
own.named = (name) => decide("t", name);
own.heard = () => (framed() ? wordsOf(framed()) : grid.querySelector(".none")?.textContent ?? "");

addEventListener("submit", (event) => {
  if (event.target.matches("[data-filters]")) {
    event.preventDefault();
    filter(event.target);
  }
  if (event.target !== act) return;
  event.preventDefault();
  const typing = document.activeElement?.closest(".typed");
  if (typing) choose(typing);
  else if (event.submitter && !event.submitter.matches(".unseen, [data-do]")) {
    document.querySelector("details.reasons[open]")?.removeAttribute("open");
    decide(event.submitter.value);
  }
});

// ---- looking

function showCloser() {
  const image = closer.querySelector("img"), cell = framed();
  image.src = `/picture/1024/${idOf(cell)}`;
  image.hidden = false;
  byId("closer-text").textContent = wordsOf(cell);
}

Object.assign(doing, {
  mark: () => {
    const cell = framed();
    if (!cell) return;
    mark(cell, !boxOf(cell).checked);
    restart();
    counted();
  },
  extend: (button) => {
    extends_ = !extends_;
    button.setAttribute("aria-pressed", extends_);
    restart();
  },
  all: () => waited(markAll()),
  none: unmark,
  move: (button) => go(button.dataset.key, extends_),
  side: () => {
    const other = grids[(grids.indexOf(grid) + 1) % grids.length];
    const cell = framed(other) ?? cellsOf(other)[0];
    if (cell) frame(cell);
  },
  closer: () => {
    if (!framed()) return;
    showCloser();
    closer.showModal();
  },
  frame: () => {
    if (!framed()) return;
    leaveFor(`/frame/${idOf(framed())}`);
  },
  like: () => {
    if (!framed()) return;
    const asked = new URLSearchParams(location.search);
    asked.delete("part");
    asked.set("like", idOf(framed()));
    leaveFor(`${location.pathname}?${asked}`);
  },
});

addEventListener("click", (event) => {
  const turned = event.target.closest("[data-turn]");
  if (turned) {
    event.preventDefault();
    grid = turned.closest(".grid");
    turn(Number(turned.dataset.turn));
  }
  const cell = event.target.closest(".cell");
  if (!cell || event.target !== boxOf(cell)) return; // a click on a label clicks its box, too
  if (event.shiftKey) {
    event.preventDefault();
    anchor ??= { grid, at: firstOf(grid) + Math.max(0, cellsOf().indexOf(framed())) };
    frame(cell);
    setTimeout(() => extendTo(cell));
    return;
  }
  frame(cell);
  mark(cell, boxOf(cell).checked);
  restart();
  counted();
});

addEventListener("keydown", (event) => {
  const arrow = event.key.startsWith("Arrow") || ["Home", "End"].includes(event.key);
  if (event.target.closest("input:not([type=checkbox]), select, .filters") || event.ctrlKey || event.altKey || event.metaKey) return;
  if (event.key === "Enter" && event.target.matches(".cell input")) event.preventDefault();
  if (!arrow || asking.open || byId("help").matches(":popover-open")) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  if (!own.waits() && !early.length) go(event.key, event.shiftKey || extends_);
  else if (!event.repeat) early.push(event.shiftKey ? `Shift+${event.key}` : event.key);
}, true);

// ---- begin

for (const side of [...grids].reverse()) frame(cellsOf(side)[0], { focus: side === grids[0] });
for (const side of grids) side.classList.toggle("acted", side === grid);
counted();

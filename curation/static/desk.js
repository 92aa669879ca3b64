// Keys, preloading and undo. Every key is a button of the page: pressing a key presses the button that shows it.
// Decisions are sent one after another, and again until the desk has answered; the page has moved on before.

const AHEAD = 5; // items that are held ready, their pictures fetched and decoded
const RETRY_MS = 700;
const MOST_MATCHES = 8;
const MOST_SHOWN = 9; // pictures of a group
const MOST_PAST = 20; // items that undo has at hand with their pictures; it asks the desk for those of before
const MOST_KEPT_ALIVE = 60_000; // bytes; a browser sends no more than 64 KiB for a page that is left
export const page = document.body.dataset.page;
const main = document.querySelector("#item");
export const byId = (id) => document.getElementById(id);
export const newAction = () => Array.from(crypto.getRandomValues(new Uint8Array(6)), (n) => n.toString(16).padStart(2, "0")).join("");

// What a page with a grid (grid.js) does in its own way: whether keys wait, those without a button, a typed name, an undo,
// and what keys act on, in words.
export const own = { waits: () => false, keys: {}, named: null, undone: null, heard: () => "" };

// ---- what is shown, what comes next, what is on its way

let current = null; // {key, nodes}: the item that keys act on
const held = []; // items that come next
export const past = []; // items that were decided since the page was opened, for undo
export const early = []; // keys that were pressed before the next item was there
const onTheirWay = new Map(); // action to item, not yet answered
let refilling = false;
let complaint = ""; // why nothing more comes, said once
let exhausted = false;
let chain = Promise.resolve();
let unanswered = 0; // requests that the desk has not answered yet, those that wait in the chain too

const query = () => new URLSearchParams([...new URLSearchParams(location.search)].filter(([name]) => !["first", "pair"].includes(name)));

function toItem({ key, html }) {
  const template = document.createElement("template");
  template.innerHTML = html;
  const nodes = [...document.importNode(template.content, true).childNodes];
  const pictures = nodes.filter((node) => node.querySelectorAll).flatMap((node) => [...node.querySelectorAll("img, image")]);
  const loaded = pictures.map((each) => {
    const image = each instanceof HTMLImageElement ? each : Object.assign(new Image(), { src: each.getAttribute("href") });
    return image.decode().catch(() => {}); // a picture that is nowhere must not stop the others
  });
  const item = { key, nodes, isReady: false };
  item.ready = Promise.all(loaded).then(() => (item.isReady = true));
  return item;
}

async function refill() {
  if (!main || refilling) return;
  refilling = true;
  try {
    while (held.length < AHEAD) {
      const known = [current, ...held, ...onTheirWay.values()].filter(Boolean).map((item) => item.key);
      const asked = query();
      asked.set("most", AHEAD - held.length);
      asked.set("skip", [...new Set(known)].join(","));
      const { items, error, isOver } = await get(`/${page}/items?${asked}`);
      if (error && error !== complaint) notice(error);
      complaint = error ?? "";
      if (isOver) return;
      if (error) throw new Error(error);
      const have = new Set([current, ...held, ...onTheirWay.values()].filter(Boolean).map((item) => item.key));
      const fresh = items.filter((item) => !have.has(item.key)).map(toItem);
      held.push(...fresh);
      exhausted = !items.length;
      if (!current && held.length) await next();
      if (!fresh.length) break;
    }
  } catch {
    setTimeout(refill, RETRY_MS);
  } finally {
    refilling = false;
  }
  if (!current && !held.length && exhausted && !onTheirWay.size) {
    main.replaceChildren(byId("empty").content.cloneNode(true));
    hear();
    // Keys that have a button here press it; what follows one that has none was meant for a picture that never came.
    while (early.length && !current && !returning) if (!press(early.shift())) early.length = 0;
  }
}

let advancing = false;
async function next() {
  if (advancing) return;
  const item = held.shift();
  current = null; // until the next one's pictures are there
  if (!item) {
    main.replaceChildren();
    refill();
    return;
  }
  if (!item.isReady) {
    advancing = true;
    main.replaceChildren(); // what no key acts on any more is not shown
    await item.ready;
    advancing = false;
  }
  show(item);
}

function show(item) {
  current = item;
  main.replaceChildren(...item.nodes);
  looked();
  lettered();
  hear();
  drain();
  refill();
}

// Keys that came before their item was there press it once it was seen, in their order.
const waits = () => (main ? !current : own.waits());
let draining = false;
export function drain() {
  if (draining || !early.length || waits() || returning) return;
  draining = true;
  requestAnimationFrame(() => requestAnimationFrame(() => {
    draining = false;
    if (!waits() && early.length) press(early.shift());
    const text = document.activeElement;
    if (early.length && text?.matches("input:not([type=checkbox])")) { // the rest was typed into it
      text.value += early.splice(0).filter((key) => key.length === 1).join("");
      text.dispatchEvent(new Event("input", { bubbles: true }));
    }
    drain();
  }));
}

// Keys that were pressed before a page is left belong to the one that comes.
export function takeAlong() {
  addEventListener("pagehide", () => sessionStorage.setItem("early", JSON.stringify(early)));
}

function bringAlong() {
  early.push(...JSON.parse(sessionStorage.getItem("early") ?? "[]"));
  sessionStorage.removeItem("early");
  drain();
}
addEventListener("pageshow", (event) => event.persisted && location.reload()); // such a page would wait for ever

// ---- deciding

function decide(form, values) {
  const item = current;
  if (!item) return;
  const body = new URLSearchParams(new FormData(form));
  for (const [name, value] of Object.entries(values)) body.set(name, value);
  for (const mark of main.querySelectorAll("input[data-sent]:checked")) body.set(mark.name, mark.value); // whatever the form
  const action = body.get("action");
  onTheirWay.set(action, item);
  if (body.get("key") !== " ") past.push({ item, action });
  if (past.length > MOST_PAST) past.at(-1 - MOST_PAST).item = null;
  next();
  send(`/${page}`, body).then(async (answer) => {
    onTheirWay.delete(action);
    const refused = answer.error ? past.findIndex((each) => each.action === action) : -1;
    if (refused >= 0) past.splice(refused, 1);
    if (!answer.error && answer.said !== "later") count(-1, answer);
    if (answer.error && !answer.isOver) await anew(body.getAll("image_id")).catch(() => {});
    told(answer);
    hear(answer.error ? "refused" : answer.said);
    refill();
  });
}

let returning = 0; // undone items that are on their way back; keys wait for them
let coming = Promise.resolve();
function undo() {
  const last = past.pop(), action = newAction();
  const stays = last?.isExample;
  if (last?.item) back(last.item);
  else if (!stays) returning += 1;
  // Which one is the last is known only when what was pressed before has been answered.
  const body = () => new URLSearchParams({ page, action, of: last ? last.action : document.body.dataset.last ?? "" });
  send("/undo", body).then((answer) => {
    told(answer);
    const words = answer.undone ? `taken back: ${answer.undone.text}` : "There is nothing to take back.";
    if (!answer.error) say(words);
    if (answer.undone && !main && !own.undone) return reload();
    if (answer.undone?.page === page) count(main ? +1 : answer.undone.image_ids.length, answer);
    if (!last?.item && !stays) coming = coming.then(() => bring(answer.undone)).catch(() => {}).finally(arrived);
    coming.then(() => answer.error || hear(words, { isSeen: true }));
  });
}

async function bring(undone) {
  if (undone?.page !== page) return;
  if (!main) return own.undone?.(undone.image_ids);
  const item = await itemWith(undone.image_ids);
  if (item) back(item);
}

async function itemWith(ids) {
  const asked = query();
  for (const id of ids.slice(0, MOST_SHOWN)) asked.append("first", id);
  const [item] = (await get(`/${page}/items?${asked}`)).items ?? [];
  return item && ids.includes(item.key) ? toItem(item) : null;
}

// What the desk refused comes next, as it is now: never in the place of what keys act on.
async function anew(ids) {
  const item = await itemWith(ids);
  if (!item || current?.key === item.key) return;
  const twice = held.findIndex((each) => each.key === item.key);
  if (twice >= 0) held.splice(twice, 1);
  held.unshift(item);
  if (!current) next();
}

function arrived() {
  returning -= 1;
  if (main && !current && !held.length) early.length = 0;
  drain();
}

// A picture is sent to the rules as an example; the item stays.
function sendExample(kind, image_id) {
  const action = newAction(), sent = { isExample: true, action };
  past.push(sent);
  send("/standards", new URLSearchParams({ action, key: kind, image_id })).then((answer) => {
    told(answer);
    if (answer.error) return past.splice(past.indexOf(sent), 1);
    say(`Standards: ${answer.said}`);
    if (page === "standards") reload();
  });
}

function back(item) {
  if (current && current.key !== item.key) held.unshift(current);
  const twice = held.findIndex((each) => each.key === item.key);
  if (twice >= 0) held.splice(twice, 1);
  for (const node of item.nodes.filter((each) => each.querySelectorAll)) {
    node.classList.remove("blink");
    for (const input of node.querySelectorAll("input[name=action]")) input.value = newAction();
    for (const details of node.querySelectorAll("details")) details.open = false;
    for (const typed of node.querySelectorAll(".typed")) shut(typed);
    for (const drawn of node.querySelectorAll(".looked")) drawn.remove();
    for (const button of node.querySelectorAll("[data-do=looked]")) button.setAttribute("aria-pressed", "false");
  }
  show(item);
}

// What the desk answers. Where it refuses, `error` says why in words; where asking again helps nobody, it `isOver`.
async function read(answer) {
  if (answer.ok || answer.status === 409) return tidings(await answer.json());
  if (answer.status === 401) return { error: "Your link has ended. Ask whoever runs the desk for another, open it, and reload this page.", isOver: true };
  return { error: `The desk refused this (${answer.status}). Reload the page.`, isOver: answer.status < 500 };
}

// What happened elsewhere reaches a page that stays open: once, or as long as it is so.
function tidings(answer) {
  if (!answer.now) return answer;
  answer.notices.forEach(notice);
  const shown = [...document.querySelectorAll("#notices .now")];
  for (const each of shown) if (!answer.now.includes(each.textContent)) each.remove();
  const fresh = answer.now.filter((text) => !shown.some((each) => each.textContent === text));
  byId("notices").append(...fresh.map((text) => Object.assign(document.createElement("p"), { className: "now", textContent: text })));
  if (answer.run !== document.body.dataset.run) notice("There are new tables. What comes next is from them; reload the page for their numbers.");
  document.body.dataset.run = answer.run;
  return answer;
}

export async function get(address) {
  return read(await fetch(address, { headers: { accept: "application/json" } }));
}

export function send(path, body) {
  unanswered += 1;
  const sent = chain.then(async () => {
    if (typeof body === "function") body = body();
    for (;;) {
      try {
        const keepalive = String(body).length < MOST_KEPT_ALIVE;
        const answer = await fetch(path, { method: "POST", body, headers: { accept: "application/json" }, keepalive });
        return await read(answer);
      } catch {
        say("The desk does not answer. What you decided is kept here, and sent when it does.");
        await new Promise((done) => setTimeout(done, RETRY_MS));
      }
    }
  });
  chain = sent.finally(() => (unanswered -= 1));
  return chain;
}

// Who leaves the page by a key waits until nothing is on its way.
export async function allAnswered() {
  while (unanswered) await chain;
}

async function reload() {
  await allAnswered();
  location.reload();
}

export function told(answer) {
  if (answer.error) notice(answer.error);
  if (!answer.last) return;
  say("");
  byId("last").replaceChildren(...answer.last.toReversed().map(({ text }) => Object.assign(document.createElement("li"), { textContent: text })));
  document.body.dataset.last = answer.last.at(-1)?.id ?? "";
  if (byId("decided")) byId("decided").textContent = answer.decided.toLocaleString("en");
  if (byId("paced")) {
    byId("paced").hidden = !answer.pace;
    byId("pace").textContent = (answer.pace ?? 0).toLocaleString("en");
    inMinutes();
  }
  uncommitted(answer);
}

const numberIn = (id) => Number(byId(id).textContent.replaceAll(",", ""));

// A key may leave its item open, or make several of it: then the desk says how many are left.
export function count(by, { left = Math.max(0, numberIn("left") + by) } = {}) {
  const bar = document.querySelector("header progress"), change = left - numberIn("left");
  byId("left").textContent = left.toLocaleString("en");
  bar.value -= change;
  inMinutes();
}

function inMinutes() {
  if (!byId("minutes")) return;
  const pace = numberIn("pace"), left = numberIn("left");
  const minutes = Math.max(1, Math.round((60 * left) / pace));
  byId("minutes").textContent = pace && left ? `, about ${minutes.toLocaleString("en")} minute${minutes === 1 ? "" : "s"}` : "";
}

// Each row that is written waits for a commit. Whether one that is taken back had been committed, the desk knows.
let rows = Number(document.body.dataset.rows);
function uncommitted(answer) {
  const number = answer.uncommitted ?? Math.max(0, numberIn("uncommitted") + answer.rows - rows);
  rows = answer.rows;
  byId("uncommitted").textContent = number.toLocaleString("en");
  document.querySelector("footer button").disabled = !number;
}

// What a screen reader says, in one sentence: everybody sees the first part, where it is no verdict that stands in the list.
export function say(text, unseen = "") {
  byId("status").replaceChildren(text, ...(unseen ? [Object.assign(document.createElement("span"), { className: "unseen", textContent: unseen })] : []));
}

let unheard = null; // {text, isSeen}: a verdict, until what keys act on next is there
export function hear(text, { isSeen = false } = {}) {
  if (text) unheard = { text, isSeen };
  if (!unheard || (main && !current && !main.querySelector(".empty"))) return;
  const next = [unheard.isSeen ? "" : unheard.text, heard()].filter(Boolean).join("; next: ");
  say(unheard.isSeen ? unheard.text : "", unheard.isSeen && next ? `; next: ${next}` : next);
  unheard = null;
}

// What keys act on: its label and prediction, as its caption has them.
function heard() {
  if (!main) return own.heard();
  const group = main.querySelector(".group"), subject = main.querySelector(".subject");
  if (group) return group.getAttribute("aria-label");
  return subject?.querySelector("figcaption p:not(.soft)")?.textContent ?? subject?.querySelector("img").alt ?? main.querySelector(".empty p").firstChild.textContent.trim();
}

export function notice(text) {
  [...byId("notices").children].find((each) => each.textContent === text)?.remove(); // it is said again, and stands once
  byId("notices").append(Object.assign(document.createElement("p"), { textContent: text }));
}

addEventListener("beforeunload", (event) => unanswered && event.preventDefault());

// ---- keys

const store = (name, value) => localStorage.setItem(name, JSON.stringify(value));
const stored = (name, otherwise) => JSON.parse(localStorage.getItem(name) ?? "null") ?? otherwise;
const keysOn = () => stored("single-keys", true);
const mapped = () => stored("keys", {}); // a button's key to the key that presses it

const keyOf = (button) => mapped()[button.dataset.key] ?? button.dataset.key;

function buttonOf(key) {
  const open = document.querySelector("dialog[open]") ?? document.querySelector("details.reasons[open]");
  const among = [...(open ?? document).querySelectorAll("[data-key]")];
  return among.find((each) => keyOf(each) === key && (open || !each.closest("details:not([open])") || each.matches("summary")));
}

// Each button shows the key that presses it.
const SIGNS = { " ": "␣", Enter: "↵", Backspace: "⌫", Escape: "esc", ArrowLeft: "←", ArrowUp: "↑", ArrowDown: "↓", ArrowRight: "→" };
export function lettered() {
  const other = mapped();
  for (const kbd of document.querySelectorAll("[data-key] > kbd")) {
    const key = other[kbd.parentElement.dataset.key];
    if (!key && !kbd.dataset.own) continue;
    kbd.dataset.own ??= kbd.textContent;
    kbd.textContent = key ? (SIGNS[key] ?? key) : kbd.dataset.own;
  }
}

function press(key) {
  if (own.keys[key]) return own.keys[key](), true;
  const button = buttonOf(key);
  if (!button) return false;
  if (button.matches(".typed label")) button.querySelector("input").focus();
  else button.click();
  return true;
}

addEventListener("keydown", (event) => {
  const inText = event.target.closest?.("input:not([type=checkbox]), select, textarea");
  if (event.key === "Escape") {
    document.querySelector("details.reasons[open]")?.removeAttribute("open");
    inText?.blur();
    if (inText?.matches(".typed input")) shut(inText.closest(".typed"));
    return;
  }
  if (inText || event.ctrlKey || event.altKey || event.metaKey || !keysOn()) return;
  if (byId("help").matches(":popover-open") && event.key !== "?") return;
  if (event.target.closest?.("button, a, summary") && [" ", "Enter"].includes(event.key) && event.target.matches(":focus-visible") && event.target !== document.body) return;
  if (event.repeat) return event.preventDefault();
  if (early.length || (returning && buttonOf(event.key)?.dataset.do !== "undo") || (main ? !current && (held.length || onTheirWay.size || refilling) : own.waits())) {
    early.push(event.key);
    drain();
    return event.preventDefault();
  }
  if (press(event.key)) event.preventDefault();
});

addEventListener("submit", (event) => {
  const form = event.target;
  if (form.id === "undo") {
    event.preventDefault();
    undo();
  } else if (form.matches(".example")) {
    event.preventDefault();
    sendExample(event.submitter.value, form.elements.image_id.value);
  } else if (main?.contains(form)) {
    event.preventDefault();
    if (form.matches(".typed")) choose(form);
    else decide(form, { key: event.submitter.value });
  }
});

const framed = () => document.querySelector(".framed[data-image-id]")?.dataset.imageId ?? "";
export const doing = { good: () => sendExample("good", framed()), bad: () => sendExample("bad", framed()), example: otherExample, looked: whereLooked, blink, zoom: (button) => zoomBy(button.dataset.key === "+" ? 0.8 : 1.25), pan: (button) => pan(STEPS[button.dataset.key]), whole: () => views().forEach((each) => each.setAttribute("viewBox", each.dataset.whole)) };
addEventListener("click", (event) => {
  const button = event.target.closest("[data-do]");
  if (button && doing[button.dataset.do]) doing[button.dataset.do](button);
  const option = event.target.closest(".matches li");
  if (option) choose(option.closest(".typed"), option);
});

// A picture goes on to one place: a mark takes the others off. The list of benchmarks closes, and says which was chosen.
main?.addEventListener("change", ({ target }) => {
  if (!target.matches("input[data-sent]")) return;
  for (const mark of main.querySelectorAll("input[data-sent]")) mark.checked &&= mark === target;
  const list = main.querySelector("details.benchmarks"), text = list?.querySelector("summary .name");
  if (!text) return;
  const chosen = list.querySelector("input:checked");
  list.open = false;
  list.classList.toggle("chosen", Boolean(chosen));
  text.textContent = chosen ? `for ${chosen.value}` : text.dataset.text;
});
main?.addEventListener("click", (event) => {
  const chosen = event.target.closest("details.benchmarks > summary") && main.querySelector("details.benchmarks input:checked");
  if (!chosen) return;
  event.preventDefault(); // the mark is taken off
  chosen.click();
});

// ---- typing a name

const namesOf = (id) => [...(byId(id)?.options ?? [])].map((each) => each.value);
const names = namesOf("names");
const folded = (text) => text.normalize("NFKC").toLowerCase();

function matching(text, among) {
  const wanted = folded(text.trim());
  const begins = [], holds = [];
  for (const name of among) {
    const at = folded(name).indexOf(wanted);
    if (at === 0) begins.push(name);
    else if (at > 0) holds.push(name);
    if (begins.length === MOST_MATCHES) break;
  }
  return [...begins, ...holds].slice(0, MOST_MATCHES);
}

let numOffered = 0; // of which ids are made
function offer(input) {
  const typed = input.closest(".typed"), list = typed.querySelector(".matches");
  const among = (input.dataset.names ?? "names") === "names" ? names : namesOf(input.dataset.names);
  const makes = typed.dataset.makes ?? (["label", "sort", "class"].includes(page) ? "make a new sub-class" : "");
  const found = input.value.trim() ? matching(input.value, among) : [];
  const options = found.map((name) => ({ name, text: name }));
  if (makes && input.value.trim() && !among.includes(input.value.trim()))
    options.push({ name: input.value.trim(), text: `${makes} “${input.value.trim()}”` });
  list.replaceChildren(...options.map(({ name, text }, number) => {
    const option = Object.assign(document.createElement("li"), { id: `option-${(numOffered += 1)}`, textContent: text, role: "option" });
    option.dataset.name = name;
    option.setAttribute("aria-selected", number === 0);
    return option;
  }));
  list.hidden = !options.length;
  list.id ||= `names-${(numOffered += 1)}`;
  input.role = "combobox";
  input.setAttribute("aria-autocomplete", "list");
  input.setAttribute("aria-controls", list.id);
  input.ariaExpanded = String(!list.hidden);
  chosenIs(input, list.firstElementChild);
  return options.length && !found.length ? `Enter will ${options[0].text}.` : "";
}

function shut(typed) {
  typed.querySelector(".matches").hidden = true;
  typed.querySelector("input[name=name]").ariaExpanded = "false";
}

// What Enter chooses, as screen readers know it.
function chosenIs(input, option) {
  if (option) input.setAttribute("aria-activedescendant", option.id);
  else input.removeAttribute("aria-activedescendant");
}

export function choose(typed, option) {
  const chosen = option ?? typed.querySelector(".matches [aria-selected=true]");
  if (!chosen) return say("No sub-class begins like this.");
  typed.querySelector("input[name=name]").blur();
  if (own.named) own.named(chosen.dataset.name);
  else decide(typed, { name: chosen.dataset.name });
}

addEventListener("focusin", (event) => {
  if (!event.target.matches(".typed input")) return;
  event.target.removeAttribute("list"); // ours is faster, and goes with the keys
  offer(event.target);
});
addEventListener("input", (event) => event.target.matches(".typed input") && say(offer(event.target)));
addEventListener("keydown", (event) => {
  if (!event.target.matches?.(".typed input") || !["ArrowDown", "ArrowUp"].includes(event.key)) return;
  event.preventDefault();
  const options = [...event.target.closest(".typed").querySelectorAll(".matches li")];
  const at = options.findIndex((each) => each.ariaSelected === "true");
  const to = (at + (event.key === "ArrowDown" ? 1 : -1) + options.length) % options.length;
  options.forEach((each, number) => (each.ariaSelected = String(number === to)));
  options[to]?.scrollIntoView({ block: "nearest" });
  chosenIs(event.target, options[to]);
});

// ---- looking

function otherExample() {
  for (const figure of document.querySelectorAll("figure[data-others]")) {
    const others = figure.dataset.others.split(" ");
    const at = (Number(figure.dataset.at ?? 0) + 1) % others.length;
    figure.dataset.at = at;
    const image = figure.querySelector("img");
    image.srcset = `/picture/256/${others[at]} 256w, /picture/1024/${others[at]} 1024w`;
    image.src = `/picture/1024/${others[at]}`;
  }
}

// The picture with what spoke for the prediction in colour; the same key takes it away. Where it cannot be drawn, words say why.
async function whereLooked(button) {
  const figure = document.querySelector("figure.subject"), shown = figure.querySelector(".looked");
  if (shown) return shown.remove(), button.setAttribute("aria-pressed", "false");
  if (button.disabled) return;
  const address = `/activation/${figure.dataset.imageId}`;
  const image = Object.assign(new Image(), { className: "looked", alt: "where the model looked", src: address });
  button.disabled = true;
  say("The model looks again.");
  try {
    await image.decode();
    if (figure.isConnected) { // else the page has moved on
      figure.querySelector(".frame").append(image);
      button.setAttribute("aria-pressed", "true");
      say("In orange: what spoke for the prediction.");
    }
  } catch {
    const answer = await get(address).catch(() => ({}));
    if (figure.isConnected) say(answer.error ?? "It cannot be drawn where the model looked.");
  }
  button.disabled = false;
}

let blinking = null;
function blink() {
  const group = document.querySelector(".group");
  clearInterval(blinking);
  if (!group.classList.toggle("blink")) return (blinking = null);
  const figures = [...group.querySelectorAll("figure")];
  let at = 0;
  const turn = () => figures.forEach((figure, number) => figure.classList.toggle("front", number === at % figures.length));
  turn();
  blinking = setInterval(() => { at += 1; turn(); }, 500);
}

function looked() {
  clearInterval(blinking);
  blinking = null;
}

function views() {
  return [...document.querySelectorAll("svg.frame")];
}

function zoomBy(factor, x = 0.5, y = 0.5) {
  for (const view of views()) {
    const box = view.viewBox.baseVal;
    box.x += (1 - factor) * box.width * x;
    box.y += (1 - factor) * box.height * y;
    box.width *= factor;
    box.height *= factor;
  }
}

const STEPS = { ArrowLeft: [-0.2, 0], ArrowUp: [0, -0.2], ArrowDown: [0, 0.2], ArrowRight: [0.2, 0] }; // of what is seen
function pan([x, y]) {
  for (const { viewBox: { baseVal: box } } of views()) {
    box.x += x * box.width;
    box.y += y * box.height;
  }
}

addEventListener("wheel", (event) => {
  const view = event.target.closest?.("svg.frame");
  if (!view) return;
  event.preventDefault();
  const { left, top, width, height } = view.getBoundingClientRect();
  zoomBy(event.deltaY < 0 ? 0.85 : 1 / 0.85, (event.clientX - left) / width, (event.clientY - top) / height);
}, { passive: false });

addEventListener("pointermove", (event) => {
  const view = event.target.closest?.("svg.frame");
  if (!view || !(event.buttons & 1)) return;
  const scale = view.viewBox.baseVal.width / view.getBoundingClientRect().width;
  for (const each of views()) {
    each.viewBox.baseVal.x -= event.movementX * scale;
    each.viewBox.baseVal.y -= event.movementY * scale;
  }
});

// ---- the list of keys

byId("help").addEventListener("beforetoggle", (event) => {
  if (event.newState !== "open") return;
  const rows = [...document.querySelectorAll("[data-key]")].map((each) => {
    const key = each.dataset.key, row = document.createElement("tr");
    const input = Object.assign(document.createElement("input"), { value: each.querySelector("kbd").textContent, ariaLabel: `key for ${textOf(each)}` });
    input.addEventListener("keydown", (typed) => {
      if (typed.key === "Tab" || typed.key === "Escape") return;
      typed.preventDefault();
      input.value = SIGNS[typed.key] ?? typed.key;
      store("keys", { ...mapped(), [key]: typed.key });
      lettered();
      sayDoubled();
    });
    row.append(document.createElement("td"), document.createElement("td"));
    row.children[0].append(input);
    row.children[1].textContent = textOf(each);
    return row;
  });
  byId("key-table").replaceChildren(...rows);
  byId("single-keys").checked = keysOn();
  sayDoubled();
});

function textOf(button) {
  if (button.matches(".typed label")) return button.querySelector("input").placeholder;
  const parts = [...button.childNodes].filter((each) => !each.matches?.("kbd, select"));
  return parts.map((each) => each.textContent).join("").trim() || button.ariaLabel;
}

// A letter that somebody gave to a button may be that of another one.
function sayDoubled() {
  const placeOf = (each) => each.matches("summary") ? null : each.closest("dialog, details.reasons"); // keys act within it
  const buttons = [...document.querySelectorAll("[data-key]")];
  const first = buttons.map((each) => buttons.find((other) => keyOf(other) === keyOf(each) && placeOf(other) === placeOf(each)));
  const twice = buttons.filter((each, at) => first[at].dataset.key !== each.dataset.key);
  byId("doubled").textContent = twice.map((each) => `${keyOf(each)} is on two buttons: “${textOf(first[buttons.indexOf(each)])}” and “${textOf(each)}”. The first is pressed.`).join(" ");
}
byId("single-keys").addEventListener("change", (event) => store("single-keys", event.target.checked));
byId("reset-keys").addEventListener("click", () => { localStorage.removeItem("keys"); lettered(); byId("help").hidePopover(); });

// ---- begin

const subject = main?.querySelector("[data-image-id]");
if (subject) {
  const key = main.querySelector("input[name=image_id]").value;
  current = { key, nodes: [...main.childNodes], isReady: true };
}
lettered();
refill();
bringAlong();
document.documentElement.dataset.ready = "";

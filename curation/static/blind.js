// How long a person looks at a picture of the blind test: from the moment at which it was painted to the key that answers.
// No time is sent where it would not be that of thinking: after a break, or when the picture was on the screen before.

import { byId, early } from "./desk.js";

const main = byId("item");
const seen = new Set(JSON.parse(sessionStorage.getItem("blind-seen") ?? "[]")); // turns, in this tab
let painted = null; // when; null where the time is not known

const nextFrame = () => new Promise(requestAnimationFrame);

async function begin() {
  painted = null;
  const figure = main.querySelector("figure.subject");
  if (!figure || early.length) return; // a key that was pressed before the picture was there answers at once
  const [round, number] = ["round", "turn"].map((name) => main.querySelector(`input[name=${name}]`).value);
  const turn = `${round}:${number} ${document.body.dataset.person}`;
  if (seen.has(turn) || document.hidden) return void remember(turn);
  remember(turn);
  await figure.querySelector("img").decode().catch(() => {});
  await nextFrame();
  await nextFrame();
  if (figure.isConnected && !document.hidden) painted = performance.now();
}

function remember(turn) {
  seen.add(turn);
  sessionStorage.setItem("blind-seen", JSON.stringify([...seen]));
}

function stamp() {
  const seconds = painted === null ? "" : ((performance.now() - painted) / 1000).toFixed(2); // the desk knows what was a break
  for (const input of main.querySelectorAll("input[name=seconds]")) input.value = seconds;
}

addEventListener("submit", stamp, true); // before the desk sends the form
addEventListener("click", stamp, true); // on a name that is offered
document.addEventListener("visibilitychange", () => document.hidden && (painted = null));
new MutationObserver(begin).observe(main, { childList: true });
begin();

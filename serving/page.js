// Shows the photo as soon as it is taken, asks, and shows what the server says. Without this file, the form does the asking.
const find = (id) => document.getElementById(id);
const photo = find("photo"), image = find("image"), preview = find("preview"), ask = photo.querySelector("button");
const result = find("result"), feedback = find("feedback");
let transaction = null;

const paragraph = (text, kind = "") => {
  const element = document.createElement("p");
  element.textContent = text;
  element.className = kind;
  return element;
};

function paragraphs(body) {
  if (body.error) return [paragraph(body.error, "problem")];
  if (!body.answer) return [paragraph("Sorry, please try again", "answer"), ...body.advice.map((text) => paragraph(text))];
  const { class: name, confidence, note, special } = body.answer;
  const sure = paragraph(`${confidence.toFixed(0)} of 100 sure`, "confidence");
  return [paragraph(special === "smile" ? `${name} \u{1F642}` : name, "answer"), sure, ...(note ? [paragraph(note)] : [])];
}

async function post(path, content) {
  try {
    const response = await fetch(path, content);
    return await response.json();
  } catch {
    return { error: "The server cannot be reached. Try again when you are connected." };
  }
}

async function identify() {
  ask.disabled = true;
  feedback.hidden = true;
  result.replaceChildren(paragraph("Looking …"));
  const body = await post("/v1/identify", { method: "POST", body: new FormData(photo), headers: { "X-Client-Build": "page" } });
  result.replaceChildren(...paragraphs(body));
  transaction = body.error ? null : body.transaction;
  feedback.hidden = !body.answer;
  ask.disabled = false;
}

image.addEventListener("change", () => {
  if (!image.files.length) return;
  URL.revokeObjectURL(preview.src);
  preview.src = URL.createObjectURL(image.files[0]);
  preview.hidden = false;
  identify();
});
photo.addEventListener("submit", (event) => {
  event.preventDefault();
  identify();
});
feedback.addEventListener("submit", async (event) => {
  event.preventDefault();
  const content = { transaction, feedback: event.submitter.value };
  const body = await post("/v1/feedback", {
    method: "POST", body: JSON.stringify(content), headers: { "Content-Type": "application/json" },
  });
  feedback.hidden = true;
  result.append(paragraph(body.error ?? "Thank you.", body.error ? "problem" : ""));
});

// Small pieces that the page is made of: elements, choices, and requests that are repeated until they are answered.

export const $ = (id) => document.getElementById(id);

export function show(id, visible) { $(id).hidden = !visible; }

export function text(id, value) { if ($(id).textContent !== value) $(id).textContent = value; }

/** Buttons to choose from: one of them ("radio") or any number ("checkbox"). */
export function choices(box, names, kind, group, onChange, hint = () => "") {
  const key = JSON.stringify([names, kind]);
  if (box.dataset.key === key) return;
  box.dataset.key = key;
  box.replaceChildren(...names.map((name, i) => {
    const label = document.createElement("label"), input = document.createElement("input"), span = document.createElement("span");
    input.type = kind; input.name = group; input.value = name;
    input.addEventListener("change", onChange);
    span.textContent = name.replaceAll("_", " ");
    const key = hint(i);
    if (key) { const mark = document.createElement("kbd"); mark.textContent = key; span.append(mark); }
    label.append(input, span);
    return label;
  }));
}

export function chosen(box) { return [...box.querySelectorAll("input:checked")].map((input) => input.value); }

export function ticks(box) { return [...box.querySelectorAll("input")].map((input) => input.checked); }

export function clearChoices(box) { for (const input of box.querySelectorAll("input")) input.checked = false; }

/** A key that names one press of a button, however often its request is sent. */
export function newKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((b) => b.toString(16).padStart(2, "0")).join("");
}

const pause = (ms) => new Promise((done) => setTimeout(done, ms));

export class Refusal extends Error {
  constructor(answer) {
    super(answer.error);
    this.remedy = [answer.got, answer.remedy].filter(Boolean).join(". ");
  }
}

/** Ask once; throws a Refusal when the server says no, another error when it is not there. */
export async function get(path) {
  const answer = await fetch(path, { signal: AbortSignal.timeout(8000) });
  if (answer.status === 401) throw new Refusal({ error: "This page has lost its token", remedy: "Open the printed address again" });
  const body = await answer.json();
  if (!answer.ok) throw new Refusal(body);
  return body;
}

/** Send an action until the server answers. The key makes repeats harmless. */
export async function post(path, body, onLost, tries = Infinity) {
  const content = JSON.stringify({ key: newKey(), ...body });
  for (let attempt = 0; ; attempt++) {
    let answer;
    try {
      answer = await fetch(path, { method: "POST", headers: { "content-type": "application/json" }, body: content, signal: AbortSignal.timeout(8000) });
    } catch (error) {
      onLost(true);
      if (attempt + 1 >= tries) throw error;
      await pause(Math.min(4000, 250 * 2 ** attempt));
      continue;
    }
    onLost(false);
    const said = await answer.json().catch(() => ({ error: `the server answered ${answer.status}` }));
    if (!answer.ok) throw new Refusal(said);
    return said;
  }
}

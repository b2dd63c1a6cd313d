// The evaluators' page. It shows what the server says and sends what the evaluator presses; it decides nothing itself.
import { $, choices, chosen, clearChoices, get, post, Refusal, show, text, ticks } from "/parts.js";

const memory = { station: localStorage.getItem("station"), evaluator: localStorage.getItem("evaluator") };
let seen = null;         // the last view from the server
let seenAt = 0;          // when it came [ms]
let verdict = null;      // success or failure of the trial being judged
let judged = "";         // trial that the judging form belongs to
let rating = null;       // trial of somebody else whose film is being judged
let busy = false;        // an action is on its way
let blinking = false;
let pictures = 0;        // counts pictures, so that none is taken from a cache

const STEPS = { assigned: "setup", confirmed: "run", running: "run", stopped: "judge" };
const PRIMARY = {
  ready: ["Next trial", "", () => act("next")],
  assigned: ["Scene matches", "", () => act("confirm")],
  confirmed: ["Start", "go", () => act("start")],
  running: ["Stop", "halt", () => act("stop")],
  stopped: ["Save label", "", save],
  rating: ["Save second judgement", "", saveRating],
};

function phase() {
  if (!seen || !seen.evaluator) return "join";
  const trial = seen.trial;
  if (trial && trial.phase in STEPS) return trial.phase;
  if (rating) return "rating";
  return seen.over ? "over" : "ready";
}

// --- talking to the server

function lost(isLost) {
  $("line").classList.toggle("lost", isLost);
  text("line", isLost ? "reconnecting" : "connected");
}

function complain(error) {
  if (!(error instanceof Refusal)) { lost(true); return; }
  text("alert", [error.message, error.remedy].filter(Boolean).join(". "));
  show("alert", true);
  setTimeout(() => show("alert", false), 9000);
}

function take(view) {
  if (seen && view.version < seen.version) return; // an answer that was overtaken by a newer one
  seen = view; seenAt = performance.now();
  draw();
}

async function act(name, more = {}) {
  if (busy) return;
  busy = true; $("primary").disabled = true;
  try {
    const body = { station: memory.station, ...more };
    if (!["next", "join", "deviate", "rate"].includes(name)) body.trial = seen.trial.id;
    take(await post(`/api/${name}`, body, lost));
    show("alert", false);
    if (name === "next" && !seen.over && phase() === "ready") complain(new Refusal({ error: "No trial is free at the moment", remedy: "Other stations hold the rest; try again soon" }));
  } catch (error) { complain(error); await look(); } finally { busy = false; draw(); }
}

/** The emergency stop never waits for anything else. */
function emergency() {
  if (!seen?.trial) return;
  post("/api/emergency", { station: memory.station, trial: seen.trial.id }, lost).then(take, complain);
}

async function look() {
  if (!memory.station) return;
  try { take(await get(`/api/view?station=${encodeURIComponent(memory.station)}`)); lost(false); } catch (error) { complain(error); }
}

async function lookForEver() {
  for (;;) { if (!busy) await look(); await new Promise((done) => setTimeout(done, phase() === "running" ? 300 : 1000)); }
}

async function watchForEver() {
  for (;;) {
    await new Promise((done) => setTimeout(done, 100));
    if (document.hidden || !["assigned", "confirmed", "running", "stopped"].includes(phase())) continue;
    await picture($("camera"), `/api/frame?station=${encodeURIComponent(memory.station)}&n=${pictures++}`);
  }
}

async function picture(image, path) {
  try {
    const answer = await fetch(path, { signal: AbortSignal.timeout(4000) });
    if (answer.status !== 200) return false;
    const url = URL.createObjectURL(await answer.blob());
    const old = image.src;
    image.src = url;
    await image.decode().catch(() => {});
    if (old.startsWith("blob:")) URL.revokeObjectURL(old);
    return true;
  } catch { lost(true); return false; }
}

async function loadTarget() {
  const trial = seen.trial.id, image = $("target");
  if (image.dataset.trial === trial) return;
  image.dataset.trial = trial;
  const path = `/api/target?station=${encodeURIComponent(memory.station)}`;
  for (let i = 0; i < 12 && seen.trial?.id === trial; i++) {
    if (await picture(image, path)) return;
    await new Promise((done) => setTimeout(done, 300));
  }
  image.removeAttribute("src");
}

// --- judging

function choose(success) {
  verdict = success;
  if (success && !rating && seen.trial.emergency) { verdict = null; complain(new Refusal({ error: "A trial that ended in an emergency stop cannot be a success", remedy: "Judge it a failure, or exclude it if the policy was not the cause" })); }
  keepDraft(); draw();
}

function draft() { return { success: verdict, milestones: ticks($("milestones")), failure_tags: verdict === false ? chosen($("tags")) : [], notes: $("notes").value }; }

function keepDraft() { if (judged) localStorage.setItem("draft", JSON.stringify({ trial: judged, ...draft() })); }

function openJudging(id) {
  if (judged === id) return;
  judged = id; verdict = null;
  clearChoices($("milestones")); clearChoices($("tags")); $("notes").value = "";
  const kept = JSON.parse(localStorage.getItem("draft") ?? "null");
  if (kept?.trial !== id) return;
  verdict = kept.success; $("notes").value = kept.notes;
  $("milestones").querySelectorAll("input").forEach((input, i) => { input.checked = kept.milestones[i]; });
  for (const input of $("tags").querySelectorAll("input")) input.checked = kept.failure_tags.includes(input.value);
}

async function save() {
  if (verdict === null) { complain(new Refusal({ error: "Was it a success or a failure?" })); return; }
  await act("label", draft());
  if (phase() !== "stopped") judged = "";
}

// --- a second judgement, from a film

function openFilm() {
  rating = seen.film;
  $("film").src = `/api/film?trial=${encodeURIComponent(rating)}`;
  $("film").play().catch(() => {});
  draw();
}

function closeFilm() {
  rating = null; judged = "";
  $("film").pause(); $("film").removeAttribute("src");
  draw();
}

async function saveRating() {
  if (verdict === null) { complain(new Refusal({ error: "Was it a success or a failure?" })); return; }
  await act("rate", { trial: rating, rater: seen.evaluator, ...draft() });
  if (seen.film !== rating) closeFilm();
}

async function exclude() {
  clearChoices($("reasons")); $("exclude-notes").value = ""; $("exclude-ok").disabled = true;
  $("exclude").showModal();
}

// --- drawing

function draw() {
  const now = phase();
  document.body.dataset.phase = now;
  show("join", now === "join"); show("desk", now !== "join"); show("actions", now !== "join" && now !== "over");
  if (now === "join") return;
  text("study", seen.study); text("who", `${seen.evaluator} · ${seen.station}`);
  text("count", `${seen.judged} judged`);
  for (const pane of document.querySelectorAll(".pane")) pane.classList.toggle("shown", pane.dataset.for.split(" ").includes(now));
  drawSteps(now); drawScene(now); drawPrimary(now);
  if (now === "ready") drawReady();
  else if (now === "rating") drawJudging(`film of ${rating}`, "Judge what the film shows, by the same rules");
  else if (now !== "over") drawTrial(now, seen.trial);
}

function drawSteps(now) {
  const items = [...document.querySelectorAll("#steps li")];
  const at = items.findIndex((item) => item.dataset.step === STEPS[now]);
  items.forEach((item, i) => { item.classList.toggle("now", i === at); item.classList.toggle("done", i < at); });
}

function drawScene(now) {
  const trial = now in STEPS ? seen.trial : null;
  text("tag", trial ? trial.label : "");
  show("film", now === "rating"); show("film-back", now === "rating"); $("camera").hidden = now === "rating";
  if (now === "assigned") { loadTarget(); $("target").style.opacity = blinking ? (Math.floor(performance.now() / 500) % 2) : $("mix").value / 100; }
  else $("target").style.opacity = 0;
  let seconds = null;
  if (now === "running") seconds = Math.min(seen.time_limit_s, trial.elapsed_s + (performance.now() - seenAt) / 1000);
  if (now === "stopped") seconds = trial.elapsed_s;
  text("timer", seconds === null ? "" : seconds.toFixed(1));
}

function drawPrimary(now) {
  const [words, kind] = PRIMARY[now] ?? ["", ""];
  const button = $("primary");
  text("primary", words); button.className = `primary ${kind}`;
  button.disabled = busy || (["stopped", "rating"].includes(now) && verdict === null);
  show("emergency", now in STEPS); show("exclude-open", now in STEPS);
}

function drawReady() {
  const trial = seen.trial;
  const past = trial && { excluded: "was excluded and will be run again", expired: "was given away: this station was silent for too long" }[trial.phase];
  text("ready-title", trial?.can_undo ? "Saved" : "Ready");
  text("ready-text", past ? `${trial.label} ${past}.` : trial?.can_undo ? "The label is locked when the next trial begins." : "Take the next trial when the robot and you are ready.");
  show("saved", Boolean(trial?.can_undo)); show("film-open", Boolean(seen.film));
  if (trial?.can_undo) text("saved-text", `${trial.label}: ${trial.judgement.success ? "success" : "failure"} · receipt ${seen.receipt}`);
}

function drawTrial(now, trial) {
  text("condition", trial.condition.id); text("condition-text", trial.condition.description);
  $("strata").replaceChildren(...Object.entries(trial.condition.strata).map(([factor, level]) => { const chip = document.createElement("span"); chip.textContent = `${factor}: ${level}`; return chip; }));
  text("task", seen.instruction || "Ready to start"); text("success-rule", seen.rubric.success ? `Success: ${seen.rubric.success}` : "");
  text("limit", `${seen.time_limit_s} s`);
  choices($("reasons"), seen.exclusion_reasons, "radio", "reason", () => { $("exclude-ok").disabled = false; });
  if (now !== "stopped") return;
  const cause = trial.stop_cause === "evaluator" ? "You stopped it" : `Stopped: ${trial.stop_cause}`;
  drawJudging(trial.id, [`${cause} after ${trial.elapsed_s.toFixed(1)} s`, seen.rubric.success && `success: ${seen.rubric.success}`].filter(Boolean).join(" · "));
}

function drawJudging(id, words) {
  choices($("milestones"), seen.rubric.milestones, "checkbox", "milestone", keepDraft, (i) => (i < 9 ? String(i + 1) : ""));
  choices($("tags"), seen.rubric.failure_tags, "checkbox", "tag", keepDraft);
  openJudging(id);
  text("judge-text", words);
  $("yes").setAttribute("aria-checked", verdict === true); $("no").setAttribute("aria-checked", verdict === false);
  show("milestones-box", seen.rubric.milestones.length > 0);
  show("tags-box", verdict === false && seen.rubric.failure_tags.length > 0);
}

// --- the evaluator's hands

function press() { PRIMARY[phase()]?.[2](); }

function keys(event) {
  const typing = event.target.matches("textarea, input:not([type])");
  if (event.key === "Escape" && phase() === "running") { event.preventDefault(); emergency(); return; }
  if (document.querySelector("dialog[open]") || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  if (phase() === "join" || typing) return;
  const now = phase(), key = event.key.toLowerCase(), judging = now === "stopped" || now === "rating";
  const onButton = event.target.matches("button:not([role=radio])"); // such a button is pressed by the browser
  if (key === "enter" && !onButton) { event.preventDefault(); press(); }
  else if (key === " " && ["confirmed", "running"].includes(now)) { event.preventDefault(); press(); }
  else if (key === "y" && judging) choose(true);
  else if (key === "n" && judging) choose(false);
  else if (/^[1-9]$/.test(key) && judging) { $("milestones").querySelectorAll("input")[Number(key) - 1]?.click(); }
  else if (key === "u" && seen.trial?.can_undo) act("undo");
  else if (key === "x" && now in STEPS) exclude();
  else if (key === "b" && now === "assigned") $("blink").click();
  else if (key === "?") $("help").showModal();
}

function connect() {
  $("primary").addEventListener("click", press);
  $("emergency").addEventListener("click", emergency);
  $("exclude-open").addEventListener("click", exclude);
  $("film-open").addEventListener("click", openFilm);
  $("film-back").addEventListener("click", closeFilm);
  $("undo").addEventListener("click", () => act("undo"));
  $("yes").addEventListener("click", () => choose(true));
  $("no").addEventListener("click", () => choose(false));
  $("notes").addEventListener("input", keepDraft);
  $("judge").addEventListener("submit", (event) => event.preventDefault());
  $("mix").addEventListener("input", () => { blinking = false; $("blink").setAttribute("aria-pressed", "false"); draw(); });
  for (const button of document.querySelectorAll("[data-mix]")) button.addEventListener("click", () => { $("mix").value = button.dataset.mix; $("mix").dispatchEvent(new Event("input")); });
  $("blink").addEventListener("click", () => { blinking = !blinking; $("blink").setAttribute("aria-pressed", String(blinking)); draw(); });
  $("help-open").addEventListener("click", () => $("help").showModal());
  $("exclude").addEventListener("close", () => { if ($("exclude").returnValue === "ok") act("exclude", { reason: chosen($("reasons"))[0], notes: $("exclude-notes").value }); });
  $("help").addEventListener("close", () => { if ($("help").returnValue === "note" && $("deviation").value.trim()) act("deviate", { text: $("deviation").value }); $("deviation").value = ""; });
  document.addEventListener("keydown", keys);
  $("join-form").addEventListener("submit", (event) => {
    event.preventDefault();
    memory.evaluator = $("evaluator").value.trim(); memory.station = chosen($("stations"))[0];
    if (!memory.evaluator || !memory.station) { complain(new Refusal({ error: "Say who you are, and choose a station" })); return; }
    localStorage.setItem("station", memory.station); localStorage.setItem("evaluator", memory.evaluator);
    act("join", { evaluator: memory.evaluator });
  });
  setInterval(() => { if (["running", "assigned"].includes(phase())) drawScene(phase()); }, 100);
}

async function begin() {
  connect();
  const { stations, study } = await get("/api/stations");
  text("study", study); document.title = `${study} · blind trials`;
  choices($("stations"), stations, "radio", "station", () => {});
  if (stations.length === 1) $("stations").querySelector("input").checked = true;
  if (!stations.includes(memory.station)) memory.station = null;
  if (memory.station) [...$("stations").querySelectorAll("input")].find((input) => input.value === memory.station).checked = true;
  if (memory.evaluator) $("evaluator").value = memory.evaluator;
  await look();
  if (seen?.evaluator && memory.evaluator !== seen.evaluator) { seen = null; memory.station = null; } // somebody else sits there
  draw(); lookForEver(); watchForEver();
}

begin().catch(complain);

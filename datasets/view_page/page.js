"use strict";
const cards = [...document.querySelectorAll(".card")];
const form = document.querySelector(".filters");
const list = document.querySelector("main");

function apply() {
  const wanted = Object.fromEntries(new FormData(form));
  const words = (wanted.text || "").toLowerCase().split(/\s+/).filter(Boolean);
  let shown = 0;
  for (const card of cards) {
    const text = `episode ${card.dataset.index} ${card.dataset.task} ${card.dataset.driver} ${card.dataset.outcome}`.toLowerCase();
    const fits = words.every((word) => text.includes(word)) &&
      ["task", "outcome", "driver"].every((key) => !wanted[key] || card.dataset[key] === wanted[key]);
    card.hidden = !fits;
    shown += fits;
  }
  const by = { index: (a, b) => a.dataset.index - b.dataset.index,
    long: (a, b) => b.dataset.length - a.dataset.length, short: (a, b) => a.dataset.length - b.dataset.length }[wanted.sort];
  [...cards].sort(by).forEach((card) => list.append(card));
  const count = form.querySelector(".count");
  count.textContent = shown === cards.length ? count.dataset.all : `${shown} of the ${cards.length} shown`;
  document.querySelector(".none").hidden = shown > 0 || cards.length === 0;
}

function pointsOf(path) {
  if (!path.points) path.points = path.getAttribute("d").slice(1).split(/[ML]/).map((p) => p.split(" ").map(Number));
  return path.points;
}

function valueAt(plot, path, x) {
  const points = pointsOf(path);
  let best = points[0];
  for (const point of points) if (Math.abs(point[0] - x) < Math.abs(best[0] - x)) best = point;
  const low = +plot.dataset.low, high = +plot.dataset.high;
  return high - ((best[1] - 4) / 112) * (high - low);
}

function point(card, share) {
  for (const plot of card.querySelectorAll(".plot")) {
    plot.classList.add("showing");
    plot.querySelector(".cursor").style.left = `${100 * share}%`;
    const parts = [...plot.querySelectorAll("path[class^=c]")].slice(0, 8).filter((p) => p.getAttribute("d")).map((path) => {
      const mark = document.createElement("span");
      mark.textContent = `${valueAt(plot, path, 1000 * share).toPrecision(3)}  `;
      mark.className = path.getAttribute("class");
      mark.style.position = "static";
      mark.style.color = "var(--" + mark.className + ")";
      return mark;
    });
    plot.querySelector("output").replaceChildren(`${(share * plot.dataset.seconds).toFixed(2)} s  `, ...parts);
  }
}

function unpoint(card) {
  for (const plot of card.querySelectorAll(".plot")) plot.classList.remove("showing");
}

for (const card of cards) {
  for (const canvas of card.querySelectorAll(".canvas")) {
    canvas.addEventListener("pointermove", (event) => {
      const box = canvas.getBoundingClientRect();
      const share = Math.min(1, Math.max(0, (event.clientX - box.left) / box.width));
      point(card, share);
      for (const video of card.querySelectorAll("video"))
        if (video.paused && video.duration) video.currentTime = share * video.duration;
    });
    canvas.addEventListener("pointerleave", () => unpoint(card));
  }
  for (const video of card.querySelectorAll("video"))
    video.addEventListener("timeupdate", () => {
      if (!video.paused && video.duration) point(card, video.currentTime / video.duration);
    });
}
form.addEventListener("input", apply);

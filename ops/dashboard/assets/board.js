// The board: which page this is, what is wrong at present, and who may press the buttons.
import { change, onNews, poll } from "./board-api.js";
import { showAssets } from "./board-assets.js";
import { showAlerts, showDead, showRuns, showWorkers, showWorkflows } from "./board-lists.js";
import { showBackfills, showSchedules } from "./board-plans.js";
import { showRun } from "./board-run.js";
import { el } from "./text.js";
import { startTheme } from "./theme.js";
import { keepToken, takeToken } from "./token.js";

const at = (id) => document.getElementById(id);
const PAGES = {
  workflows: showWorkflows, runs: (page, id) => (id ? showRun(page, id) : showRuns(page)), schedules: showSchedules, backfills: showBackfills,
  assets: showAssets, workers: showWorkers, dead: showDead, alerts: showAlerts,
};

/** Says once and clearly when what is shown is old. */
function news(error) {
  const fresh = at("fresh");
  fresh.textContent = error ? "○ not connected" : "● up to date";
  fresh.className = `mono ${error ? "bad" : "good"}`;
  const box = at("trouble");
  box.hidden = !error;
  if (!error) return;
  const down = error.code === "database_down";
  const text = error.status
    ? `✕ ${down ? "The database does not answer" : "The server could not answer"}: ${error.message}. ${down ? "It is asked again every two seconds; trading does not need it. What you see below is old." : `What to do: ${error.todo}.`}`
    : "✕ This page has lost its server. It keeps trying; what you see below is old.";
  if (box.textContent !== text) box.textContent = text;
}

/** Asks whether our token counts; without one the buttons are off and the page says how to get it. */
async function unlock() {
  const locked = await change("/token").then(() => false, (error) => error.code === "no_token");
  document.body.classList.toggle("may-not", locked);
  const box = at("locked");
  box.hidden = !locked;
  if (!locked) return;
  const field = el("input", { type: "password", "aria-label": "Token", placeholder: "token", autocomplete: "off", size: "34" });
  const take = () => {
    keepToken(field.value.trim());
    unlock();
  };
  field.addEventListener("keydown", (event) => { if (event.key === "Enter") take(); });
  box.replaceChildren("You can look at everything. To use the buttons, open the address that was printed at the start, or paste what is in ",
    el("code", {}, "run/board.token"), " of the home folder: ", field, " ", el("button", { type: "button", class: "act", onclick: take }, "Unlock"));
}

function showCounts(counts) {
  for (const [name, n] of Object.entries(counts)) {
    const badge = at(`count-${name}`);
    if (!badge) continue;
    badge.hidden = n === 0;
    badge.textContent = n;
  }
}

takeToken();
startTheme(at("theme"));
onNews(news);
const [, , tab = "workflows", ...rest] = location.pathname.split("/");
const which = rest.map(decodeURIComponent).join("/");
document.title = `${which || tab || "workflows"} · traider board`;
(PAGES[tab] ?? showWorkflows)(at("page"), which || undefined);
document.querySelector(".links [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });
poll("/attention", showCounts, { ms: 4000 });
unlock();

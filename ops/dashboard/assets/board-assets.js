// Assets: what there is, its versions, and what came from what.
import { poll } from "./board-api.js";
import { assetLink, bytes, card, count, empty, hash, runLink, swap, table, when, wide } from "./board-parts.js";
import { el } from "./text.js";

export function showAssets(page, only) {
  if (only) return showAsset(page, only);
  const box = el("div");
  const field = el("input", { type: "search", placeholder: "filter by name", "aria-label": "Filter by name" });
  let rows = [];
  const show = () => {
    const wanted = field.value.trim().toLowerCase();
    swap(box, table(["asset", "newest partition", "fresh", "made", "#partitions", "#rows", "#size", "version", "by run"],
      rows.filter((a) => a.asset.toLowerCase().includes(wanted)).map((a) => [
        assetLink(a.asset), el("span", { class: "mono" }, a.partition), a.stale ? wide(el("span", { class: "state bad" }, "! stale"), " ", a.stale) : el("span", { class: "state good" }, "✓ not stale"), when(a.made_at),
        count(a.partitions), count(a.rows), bytes(a.bytes), hash(a.sha256), runLink(a.run),
      ]), rows.length === 0 ? "No step has made anything yet." : "No asset has that in its name."));
  };
  field.addEventListener("input", show);
  page.append(card({ name: "Assets", extra: [field] }, box));
  poll("/assets", (answer) => { rows = answer; show(); }, { ms: 5000 });
}

function showAsset(page, asset) {
  const asked = new URLSearchParams(location.search);
  const query = new URLSearchParams({ asset });
  for (const name of ["partition", "sha256"]) if (asked.get(name)) query.set(name, asked.get(name));
  const [title, versions, up, down, partitions] = Array.from({ length: 5 }, () => el("div"));
  page.append(card({ name: "Asset", extra: [el("a", { href: "/board/assets" }, "all assets")] }, title), card("Versions of this partition, newest first", versions),
    el("div", { class: "halves" }, card("Made from (upstream)", up), card("Used for (downstream)", down)), card("Partitions", partitions));
  const missed = (error) => swap(title, empty(`${error.message}. ${error.todo}.`));
  poll(`/assets/one?${query}`, (a) => {
    const wanted = asked.get("sha256");
    swap(title, el("p", { class: "title" }, el("strong", {}, a.asset), " ", el("span", { class: "mono" }, a.partition)));
    swap(versions, table(["version", "made", "by run", "step", "#rows", "#size", "where"], a.versions.map((v, at) => [
      el("span", { class: v.sha256 === wanted ? "chosen" : "" }, hash(v.sha256), at === 0 ? " newest" : ""), when(v.made_at), runLink(v.run), v.step, count(v.rows), bytes(v.bytes), wide(el("span", { class: "mono dim break" }, v.uri))]), "None."));
    swap(up, lineage(a.upstream, "It was made from nothing that is known here."));
    swap(down, lineage(a.downstream, "Nothing was made from it yet."));
    swap(partitions, el("div", { class: "chips" }, a.partitions.map((p) => el("a", {
      href: `?partition=${encodeURIComponent(p.partition)}`, class: "chip mono", "aria-current": p.partition === a.partition ? "true" : null,
      title: `${count(p.rows)} rows, ${bytes(p.bytes)}` }, p.partition))));
  }, { ms: 5000, missed });
}

/** Nearest first, one step further to the right per step away. */
function lineage(rows, none) {
  const others = rows.filter((row) => row.depth > 0);
  if (others.length === 0) return empty(none);
  return el("ul", { class: "lineage" }, others.slice(0, 200).map((row) => el("li", { class: `depth-${Math.min(row.depth, 6)}` },
    el("span", { class: "dim", "aria-hidden": "true" }, "└ "), row.asset ? (row.partition ? assetLink(row.asset, { partition: row.partition }) : el("span", { title: "No step made it, such as a journal." }, row.asset)) : el("span", { class: "dim" }, "nothing was kept of it"), " ",
    el("span", { class: "mono dim" }, row.partition), " ", row.sha256 ? hash(row.sha256) : "", " ", row.run ? [el("span", { class: "dim" }, "by "), runLink(row.run, row.step ?? undefined)] : "")));
}

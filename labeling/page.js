"use strict";
(() => {
  const STEP = 100; // rows that are shown at once
  const byId = (id) => document.getElementById(id);

  function read() {
    const element = byId("data");
    const text = element.textContent;
    try {
      if (crc32(new TextEncoder().encode(text)) === Number(element.dataset.crc)) {
        return JSON.parse(text);
      }
    } catch (error) { /* told below */ }
    byId("broken").textContent =
      "The data of this page were changed after label.py wrote it: run label.py again, or edit its CSV file instead.";
    byId("broken").hidden = false;
    return null;
  }

  function crc32(bytes) {
    let crc = -1;
    for (const byte of bytes) {
      crc ^= byte;
      for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
    }
    return ~crc >>> 0;
  }

  const data = read();
  if (!data) return;
  const { rows, classes, sheet } = data;
  const KEY = `salutary-labels-${byId("data").dataset.crc}`;
  const decided = restored(); // row number → {decision, label}
  let shown = [], limit = STEP;

  function restored() {
    try {
      const kept = JSON.parse(localStorage.getItem(KEY)) || [];
      return new Map(kept.filter(([i, choice]) => i in rows && choice.label in classes));
    } catch (error) {
      return new Map();
    }
  }

  function keep() {
    try {
      localStorage.setItem(KEY, JSON.stringify([...decided]));
    } catch (error) { /* this browser keeps nothing for a file */ }
  }

  // --- elements ----------------------------------------------------------------------------------

  function make(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children); // a text stays a text
    return element;
  }

  const amount = (value) =>
    value === null ? "not known" : String(value).replace(/^-/, "−").replace("e-", "e−");

  function options(select, pairs) {
    for (const [value, text] of pairs) select.append(make("option", { value }, text));
  }

  function table(head, body) {
    const line = (tag, cells) => make("tr", {}, ...cells.map((cell) => make(tag, {}, cell)));
    return make("div", { class: "scroll", tabindex: "0" }, make("table", {},
      make("thead", {}, line("th", head)),
      make("tbody", {}, ...body.map((cells) => line("td", cells)))));
  }

  function part(title, content, wide) {
    return make("div", wide ? { class: "wide" } : {}, make("h3", {}, title), content);
  }

  // --- a row -------------------------------------------------------------------------------------

  function article(i) {
    const row = rows[i];
    const label = make("div", { class: "label" });
    const choices = make("div", { class: "choices", role: "group", "aria-label": row.name });
    const accept = make("button", { type: "button", class: "accept-row" }, "Accept");
    const reject = make("button", { type: "button", class: "reject-row" }, "Reject");
    const correct = make("select", { class: "correct-row", "aria-label": `Correct ${row.name}` });
    options(correct, [["", "Correct to …"], ...classes.map((name, k) => [k, name])
      .filter(([k]) => k !== row.given)]);
    choices.append(accept, correct, reject);
    const of_benefit = data.bounded ? ""
      : `benefit ${amount(row.benefit)}, runner-up ${amount(row.runner_up)}, round ${row.round}, `;
    const facts = `${of_benefit}probability ${amount(row.probability)}` +
      (row.left ? ", left for a person" : "");
    const details = make("details", {}, make("summary", {}, "Why this label"));
    const element = make("article", { "data-row": i },
      make("div", { class: "head" }, make("div", { class: "source" }, row.name), label,
        make("div", { class: "facts" }, facts), choices), details);

    function draw() {
      const choice = decided.get(i);
      const decision = choice ? choice.decision : "";
      element.className = decision;
      accept.setAttribute("aria-pressed", decision === "accept");
      reject.setAttribute("aria-pressed", decision === "reject");
      correct.value = decision === "correct" ? String(choice.label) : "";
      correct.classList.toggle("chosen", decision === "correct");
      label.replaceChildren("label ", make("b", {}, classes[decision === "correct" ? choice.label : row.given]));
      if (decision === "correct") label.append(` (was ${classes[row.given]})`);
    }
    function decide(decision, k = row.given) {
      if (decision && !(decided.get(i)?.decision === decision && decision !== "correct")) {
        decided.set(i, { decision, label: k });
      } else {
        decided.delete(i); // a second click takes the decision back
      }
      keep();
      draw();
      progress();
    }
    accept.addEventListener("click", () => decide("accept"));
    reject.addEventListener("click", () => decide("reject"));
    correct.addEventListener("change", () =>
      correct.value === "" ? decide("") : decide("correct", Number(correct.value)));
    details.addEventListener("toggle", () => {
      if (details.open && details.children.length === 1) details.append(story(row));
    });
    draw();
    return element;
  }

  function shownCell(row, c) { // a text that was cut has a button for the whole of it
    const text = row.shown[c], cell = make("dd", {}, text || "–");
    if (!text.endsWith("…")) return cell;
    const whole = make("button", { type: "button", class: "whole" }, "Whole text");
    whole.addEventListener("click", async () => {
      const cells = (await written())[rows.indexOf(row)];
      cell.textContent = cells[sheet.shown[c]];
    });
    cell.append(" ", whole);
    return cell;
  }

  function story(row) {
    const cells = make("dl", { class: "cells" });
    data.shown.forEach((name, c) => cells.append(make("div",
      row.shown[c].length > 40 ? { class: "long" } : {},
      make("dt", {}, name), shownCell(row, c))));
    const known = row.benefits.filter((value) => value !== null);
    const most = Math.max(...known.map(Math.abs), Number.MIN_VALUE);
    const benefits = table(["class", "benefit", ""], classes.map((name, k) => [
      k === row.given ? `${name} (given)` : name,
      amount(row.benefits[k]),
      make("meter", { min: 0, max: most, value: Math.max(row.benefits[k] || 0, 0) }),
    ]));
    const head = (word) => ["row", "class", word, ...data.shown];
    const others = (found, pairs) => pairs.map(([position, value]) => {
      const [name, label, ...rest] = found[position];
      return [name, label, amount(value), ...rest];
    });
    const served = data.explained
      ? make("div", {}, make("p", { class: "quiet" }, `The loss falls on ${row.helped.toLocaleString("en")} of ` +
        `${data.validated.toLocaleString("en")} validation rows. It falls most on these:`),
        table(head("loss falls by"), others(data.validation, row.served)))
      : make("p", {}, "Not computed: the model has too many parameters, or its Hessian is singular.");
    return make("div", { class: "story" },
      part("This row", cells), ...(data.bounded ? [] : [part("Benefit of each class", benefits)]),
      part("Nearest labeled rows", table(head("distance"), others(data.labeled, row.nearest)), true),
      part("Validation rows that it serves", served, true));
  }

  // --- the list ----------------------------------------------------------------------------------

  const SORTS = {
    [data.bounded ? "order of the files" : "order of the picks"]: (i) => i,
    ...(data.bounded ? {} : {
      "benefit, largest first": (i) => -(rows[i].benefit ?? 0),
      "lead over the runner-up, smallest first": (i) =>
        (rows[i].benefit ?? 0) - (rows[i].runner_up ?? 0),
    }),
    "probability, smallest first": (i) => rows[i].probability ?? 0,
    "label": (i) => rows[i].given,
  };
  const DECISIONS = {
    "all": () => true,
    "undecided": (i) => !decided.has(i),
    "accepted": (i) => decided.get(i)?.decision === "accept",
    "corrected": (i) => decided.get(i)?.decision === "correct",
    "rejected": (i) => decided.get(i)?.decision === "reject",
    "left for a person": (i) => rows[i].left,
  };
  const found = rows.map((row) => [row.name, ...row.shown].join("\n").toLowerCase());

  function list() {
    const text = byId("find").value.toLowerCase();
    const of = byId("of-class").value;
    const passes = DECISIONS[byId("of-decision").value];
    const key = SORTS[byId("sort").value];
    const sign = byId("reverse").checked ? -1 : 1;
    shown = rows.map((_, i) => i)
      .filter((i) => found[i].includes(text) && passes(i) && (of === "" || rows[i].given === Number(of)))
      .sort((i, j) => sign * (key(i) - key(j) || i - j));
    byId("list").replaceChildren(...shown.slice(0, limit).map(article));
    byId("count").textContent = `${shown.length.toLocaleString("en")} of ${rows.length.toLocaleString("en")} rows`;
    byId("more").hidden = shown.length <= limit;
    byId("more").textContent = `Show ${Math.min(STEP, shown.length - limit)} more`;
    progress();
  }

  function progress() {
    const counts = { accept: 0, correct: 0, reject: 0 };
    for (const choice of decided.values()) counts[choice.decision] += 1;
    byId("progress").textContent = `${decided.size} of ${rows.length} decided: ` +
      `${counts.accept} accepted, ${counts.correct} corrected, ${counts.reject} rejected`;
    byId("download").disabled = decided.size === 0;
    const open = shown.filter((i) => !decided.has(i)).length;
    byId("accept-shown").textContent = `Accept the ${open} undecided rows of this list`;
    byId("accept-shown").disabled = open === 0;
  }

  // --- the sheet ---------------------------------------------------------------------------------

  async function written() { // the cells of each row as the file has them
    const packed = Uint8Array.from(atob(sheet.cells), (letter) => letter.charCodeAt(0));
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
    return JSON.parse(await new Response(stream).text());
  }

  async function sheetText() {
    const whole = await written();
    const lines = [[...sheet.head, sheet.decision]];
    for (const i of [...decided.keys()].sort((a, b) => a - b)) {
      const { decision, label } = decided.get(i);
      const cells = [...whole[i]];
      cells[sheet.target] = sheet.written[label];
      if (sheet.quoted >= 0) {
        const more = sheet.quotes[label] - sheet.quotes[rows[i].given];
        cells[sheet.quoted] = String(Number(cells[sheet.quoted]) + more);
      }
      lines.push([...cells, decision]);
    }
    const quoted = (cell) => (/[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell);
    const end = lines.some((cells) => cells.some((cell) => cell.includes("\r"))) ? "\r\n" : "\n";
    return lines.map((cells) => cells.map(quoted).join(",") + end).join("");
  }

  async function download() {
    const text = await sheetText();
    const url = URL.createObjectURL(new Blob([text], { type: "text/csv;charset=utf-8" }));
    const link = make("a", { href: url, download: sheet.name });
    document.body.append(link);
    link.click();
    link.remove();
    setTimeout(() => URL.revokeObjectURL(url), 10_000);
  }

  options(byId("of-class"), [["", "all"], ...classes.map((name, k) => [k, name])]);
  options(byId("of-decision"), Object.keys(DECISIONS).map((name) => [name, name]));
  options(byId("sort"), Object.keys(SORTS).map((name) => [name, name]));
  for (const id of ["find", "of-class", "of-decision", "sort", "reverse"]) {
    byId(id).addEventListener("input", () => { limit = STEP; list(); });
  }
  byId("controls").addEventListener("submit", (event) => event.preventDefault());
  byId("more").addEventListener("click", () => { limit += STEP; list(); });
  byId("accept-shown").addEventListener("click", () => {
    for (const i of shown) if (!decided.has(i)) decided.set(i, { decision: "accept", label: rows[i].given });
    keep();
    list();
  });
  byId("download").addEventListener("click", download);
  byId("controls").hidden = byId("bar").hidden = false;
  list();
})();

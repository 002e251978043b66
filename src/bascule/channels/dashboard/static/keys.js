// The keyboard: moving, answering after a second key, searching. Every key does what a button on the page does.
"use strict";
(() => {
  const ROWS = "article.card, section.card, .row, .message";
  const rows = () => [...document.querySelectorAll(ROWS)].filter((row) => row.offsetParent !== null);
  const current = () => document.activeElement?.closest?.(ROWS) ?? null;
  const move = (step) => {
    const all = rows();
    const at = all.indexOf(current());
    const next = at < 0 ? all[step > 0 ? 0 : all.length - 1] : all[Math.min(all.length - 1, Math.max(0, at + step))];
    next?.focus();
    next?.scrollIntoView({ block: "nearest" });
  };

  const disarm = () => {
    for (const button of document.querySelectorAll(".armed")) button.classList.remove("armed");
  };
  // The first key only puts the focus on the button and says so; Enter, which any button takes, is the answer.
  const arm = (kind) => {
    const card = current() ?? document.querySelector('article.card[data-open="yes"]');
    const button = card?.querySelector(`.acts > form > button.${kind}`);
    if (!button) return;
    disarm();
    button.focus();
    button.classList.add("armed");
    button.addEventListener("blur", disarm, { once: true });
  };
  const more = () => {
    const details = current()?.querySelector("details.more");
    if (!details) return;
    details.open = true;
    details.querySelector("input:checked, input")?.focus();
  };
  const tick = () => current()?.querySelector(".tick")?.click();
  const open = () => current()?.querySelector("a[href]")?.click();
  const away = () => {
    disarm();
    const card = current();
    if (card && card !== document.activeElement) card.focus();
    else document.activeElement?.blur?.();
  };

  const KEYS = {
    j: () => move(1),
    k: () => move(-1),
    a: () => arm("yes"),
    d: () => arm("no"),
    m: more,
    x: tick,
    o: open,
    "/": () => document.querySelector("[data-search]")?.focus(),
    "?": () => document.getElementById("keys")?.showModal(),
  };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    if (event.key === "Escape") return void away();
    const typing = event.target.matches?.("input:not([type=checkbox]):not([type=radio]), select, textarea");
    const does = KEYS[event.key];
    if (typing || !does) return;
    event.preventDefault();
    does();
  });

  // How many are ticked; without a tick the bar is out of the way.
  const bulk = document.getElementById("bulk");
  const count = () => {
    if (!bulk) return;
    const ticked = document.querySelectorAll(".tick:checked").length;
    bulk.classList.toggle("some", ticked > 0);
    document.getElementById("ticked").textContent = ticked === 1 ? "1 question ticked" : `${ticked} questions ticked`;
  };
  document.addEventListener("change", (event) => event.target.matches?.(".tick") && count());
  document.addEventListener("bascule:list", count);
  count();
})();

// Keeps an open page true: one stream of hints says that something changed, and what changed is fetched again.
// A hint carries no data, so a page shows only what the server drew for this very sign-in. Without this file every page
// still works; it is then as old as its last loading.
"use strict";
(() => {
  const body = document.body;
  const root = document.documentElement;
  root.classList.add("scripted");

  // Ages, counted by the server's clock.
  const ahead = Number(body.dataset.now) - Date.now();
  const distance = (seconds) => {
    const size = Math.abs(seconds);
    if (size < 10) return seconds <= 0 ? "just now" : "in a moment";
    const [count, word] =
      size < 90 ? [size, "s"] : size < 5400 ? [size / 60, "min"] : size < 129600 ? [size / 3600, "h"] : [size / 86400, "d"];
    return seconds > 0 ? `in ${Math.round(count)} ${word}` : `${Math.round(count)} ${word} ago`;
  };
  const age = () => {
    for (const time of document.querySelectorAll("time[data-at]")) {
      const at = Number(time.dataset.at);
      if (at) time.textContent = distance((at - Date.now() - ahead) / 1000);
    }
  };
  setInterval(age, 5000);

  const fetched = async (address) => {
    const answer = await fetch(address, { headers: { "HX-Request": "true" }, credentials: "same-origin" });
    // A page that sends us elsewhere instead of answering: this browser is signed out.
    if (answer.headers.has("HX-Redirect")) {
      out = true;
      hush();
    }
    if (answer.status !== 200) throw new Error(String(answer.status));
    return answer;
  };
  const drawn = async (address) => {
    const page = document.createElement("template");
    page.innerHTML = await (await fetched(address)).text();
    return page.content;
  };

  // Parts that are drawn whole: the badge, the home page.
  const redraw = async (part) => {
    const focused = [...part.querySelectorAll("a, button")].indexOf(document.activeElement);
    const fresh = await drawn(part.dataset.part);
    const whole = fresh.firstElementChild;
    if (whole && whole.id === part.id) {
      part.replaceChildren(...whole.childNodes);
      part.className = whole.className;
      if (whole.dataset.count) part.dataset.count = whole.dataset.count;
    }
    if (focused >= 0) part.querySelectorAll("a, button")[focused]?.focus();
    htmx.process(part);
  };

  // The list of questions: cards that are there stay where they are, so that nobody's eye or finger loses its place.
  // A card that loses its buttons keeps its height: nothing below may move under a finger that is about to press.
  const keepRoom = (card, height) => {
    card.style.minHeight = `${height}px`;
  };
  const cards = async (list, ids) => {
    const found = new Map();
    for (let start = 0; start < ids.length; start += 50) {
      const some = await drawn(`${list.dataset.cards}?ids=${ids.slice(start, start + 50).join(",")}`);
      for (const card of some.querySelectorAll("article[data-id]")) found.set(card.dataset.id, card);
    }
    return found;
  };
  const replace = (old, card) => {
    const held = old.contains(document.activeElement);
    keepRoom(card, old.offsetHeight);
    old.replaceWith(card);
    htmx.process(card);
    if (held) card.focus({ preventScroll: true });
  };
  const syncList = async (list) => {
    const state = await (await fetched(list.dataset.sync)).json();
    const now = new Set(state.open);
    const here = new Map([...list.querySelectorAll("article[data-id]")].map((card) => [card.dataset.id, card]));
    const gone = [...here].filter(([id, card]) => card.dataset.open === "yes" && !now.has(id)).map(([id]) => id);
    const fresh = state.open.filter((id) => !here.has(id));
    const found = await cards(list, [...gone, ...fresh]);
    for (const id of gone) if (found.has(id)) replace(here.get(id), found.get(id));
    let before = null;
    for (const id of state.open) {
      const card = here.get(id) ?? found.get(id);
      if (card && !here.has(id)) {
        if (before) before.after(card);
        else list.prepend(card);
        htmx.process(card);
      }
      before = card ?? before;
    }
    if (document.hidden) for (const card of list.querySelectorAll('article[data-open="no"]')) card.remove();
    document.getElementById("summary").textContent = state.summary;
    document.getElementById("empty").classList.toggle("gone", list.childElementCount > 0);
    document.getElementById("later").hidden = state.pages <= state.page;
    document.dispatchEvent(new Event("bascule:list"));
  };
  const syncOne = async (place) => {
    const card = place.querySelector('article[data-open="yes"]');
    if (!card) return;
    const found = (await cards(place, [place.dataset.one])).get(place.dataset.one);
    if (found && found.dataset.open === "no") replace(card, found);
  };

  const title = () => {
    const count = Number(document.getElementById("badge").dataset.count);
    document.title = (count ? `(${count}) ` : "") + document.title.replace(/^\(\d+\) /, "");
  };

  // One round at a time: hints that come meanwhile are one more round.
  const wanted = new Set();
  let running = false;
  const round = async () => {
    if (running) return;
    running = true;
    while (wanted.size) {
      const topics = new Set(wanted);
      wanted.clear();
      const work = [...document.querySelectorAll("[data-part]")]
        .filter((part) => part.dataset.on.split(" ").some((topic) => topics.has(topic)))
        .map(redraw);
      if (topics.has("approvals")) {
        work.push(...[...document.querySelectorAll("[data-sync]")].map(syncList));
        work.push(...[...document.querySelectorAll("[data-one]")].map(syncOne));
      }
      const ended = await Promise.allSettled(work);
      if (ended.some((each) => each.status === "rejected")) tell();
      age();
      title();
    }
    running = false;
  };
  const hint = (topics) => {
    for (const topic of topics) wanted.add(topic);
    round();
  };

  const state = document.getElementById("live-state");
  const say = (words, on) => {
    state.hidden = false;
    state.textContent = words;
    state.classList.toggle("on", on);
  };
  let stream = null;
  let out = false;
  const tell = () => say(out || !stream ? "not live: load the page again" : "not live: trying again", false);
  const listen = () => {
    if (stream || out) return;
    stream = new EventSource(body.dataset.live);
    stream.addEventListener("open", () => {
      say("live", true);
      // Whatever happened between drawing this page and now.
      hint(["approvals", "agents", "ledger"]);
    });
    stream.addEventListener("change", (event) => hint(event.data.split(" ")));
    stream.addEventListener("error", () => {
      out = out || stream?.readyState === EventSource.CLOSED;
      tell();
    });
  };
  const hush = () => {
    stream?.close();
    stream = null;
  };
  // A browser opens six connections to one server: a page that nobody looks at keeps none, and asks now and then.
  document.addEventListener("visibilitychange", () => (document.hidden ? hush() : listen()));
  window.addEventListener("pagehide", hush);
  window.addEventListener("pageshow", listen);
  setInterval(() => document.hidden && !out && hint(["approvals"]), 20_000);
  listen();

  // Answers given here. Only pages of ours are put into the page, whatever their status; anything else is told as text.
  const isPage = (request) => (request.getResponseHeader("Content-Type") ?? "").startsWith("text/html");
  let byKeys = false;
  document.addEventListener("keydown", () => (byKeys = true), true);
  document.addEventListener("pointerdown", () => (byKeys = false), true);
  let room = 0;
  let swapped = "";
  document.addEventListener("htmx:beforeSwap", (event) => {
    event.detail.shouldSwap = isPage(event.detail.xhr);
    room = event.detail.target.offsetHeight;
    swapped = event.detail.target.id;
  });
  document.addEventListener("htmx:afterRequest", (event) => {
    const { xhr, elt } = event.detail;
    if (isPage(xhr)) return;
    const told = document.createElement("p");
    told.className = "notice bad";
    told.setAttribute("role", "alert");
    told.textContent = xhr.status ? `That was refused (${xhr.status}).` : "The gateway cannot be reached: nothing was answered.";
    elt.after(told);
  });
  const holdStill = () => {
    const card = document.getElementById(swapped);
    if (card?.dataset.id) keepRoom(card, room);
  };
  document.addEventListener("htmx:afterSwap", holdStill);
  document.addEventListener("htmx:afterSettle", (event) => {
    age();
    holdStill();
    const card = event.target.closest?.("article[data-id]");
    document.dispatchEvent(new Event("bascule:list"));
    if (!card || document.activeElement !== body) return;
    const open = [...document.querySelectorAll('article[data-open="yes"]')];
    const next = open.find((other) => card.compareDocumentPosition(other) & Node.DOCUMENT_POSITION_FOLLOWING);
    (next ?? card).focus({ preventScroll: true });
    // Whoever answers by keys goes on to the next question; under a pointer the page stands still.
    if (byKeys) next?.scrollIntoView({ block: "nearest" });
  });
})();

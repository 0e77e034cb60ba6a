// Keeps pages true while they are open: logs grow, runs move, clocks tick. Everything works
// without it. What jobs say becomes text nodes and class names, never markup.
"use strict";

(() => {
  const LONGEST_LOG = 256 * 1024;
  const SHOW_EVERY_MS = 100;
  const COME_AGAIN_MS = 5000;
  const page = () => document.getElementById("page");

  // Clocks

  function inWords(seconds) {
    if (seconds < 0.05) return "< 0.1 s";
    if (seconds < 0.95) return `${seconds.toFixed(1)} s`;
    const whole = Math.round(seconds);
    if (whole < 60) return `${whole} s`;
    if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
    return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
  }

  setInterval(() => {
    for (const clock of document.querySelectorAll("time[data-since]")) {
      clock.textContent = inWords((Date.now() - Date.parse(clock.dataset.since)) / 1000);
    }
  }, 1000);

  // Fresh parts of the page

  async function fetched() {
    const answer = await fetch(location.href, { credentials: "same-origin" });
    if (answer.redirected || !answer.ok) return null;
    return new DOMParser().parseFromString(await answer.text(), "text/html");
  }

  function isBusy() {
    const active = document.activeElement;
    return active !== null && active.matches("input, textarea, select");
  }

  // One at a time, so that an older answer never replaces a newer one.
  const wanted = new Set();
  let isRefreshing = false;

  async function refresh(ids) {
    for (const id of ids) wanted.add(id);
    if (isRefreshing) return;
    isRefreshing = true;
    while (wanted.size > 0) {
      const now = [...wanted];
      wanted.clear();
      await refreshOnce(now);
    }
    isRefreshing = false;
  }

  async function refreshOnce(ids) {
    if (ids.includes("page") && isBusy()) return;
    const fresh = await fetched().catch(() => null);
    if (fresh === null) return;
    document.title = fresh.title;
    for (const id of ids) {
      const old = document.getElementById(id);
      const now = fresh.getElementById(id);
      if (old === null || now === null) continue;
      const open = new Set([...old.querySelectorAll("details[open] > summary")].map((each) => each.textContent));
      for (const summary of now.querySelectorAll("summary")) {
        if (open.has(summary.textContent)) summary.parentElement.open = true;
      }
      old.replaceChildren(...now.childNodes);
      Object.assign(old.dataset, now.dataset);
    }
  }

  // Streams; those of a page that nobody looks at are closed. A browser comes again by itself
  // when a connection breaks, but not after an answer that is an error.

  function whileSeen(open) {
    let source = null;
    let again = null;
    const close = () => {
      clearTimeout(again);
      if (source !== null) source.close();
      source = null;
    };
    const follow = () => {
      if (document.hidden) {
        close();
      } else if (source === null) {
        source = open();
        source.addEventListener("error", () => {
          if (source === null || source.readyState !== EventSource.CLOSED) return;
          close();
          again = setTimeout(follow, COME_AGAIN_MS);
        });
      }
    };
    document.addEventListener("visibilitychange", follow);
    follow();
    return () => {
      document.removeEventListener("visibilitychange", follow);
      close();
    };
  }

  function followChanges(url) {
    const stop = whileSeen(() => {
      const source = new EventSource(url);
      source.addEventListener("changed", () => refresh(["page"]));
      source.addEventListener("end", () => {
        stop();
        refresh(["page"]);
      });
      return source;
    });
  }

  function followLog(log) {
    const url = new URL(log.dataset.stream, location.href);
    let isFirst = true;
    const stop = whileSeen(() => {
      const source = new EventSource(url);
      source.addEventListener("log", (event) => {
        if (isFirst) log.replaceChildren();
        isFirst = false;
        url.searchParams.set("after", event.lastEventId);
        append(log, JSON.parse(event.data));
      });
      source.addEventListener("state", (event) => {
        const said = JSON.parse(event.data).instead_of_log;
        if (isFirst && said) log.replaceChildren(partOf({ stream: "control", pieces: [["", said]] }));
        refresh(["standing", "reason"]);
      });
      source.addEventListener("end", (event) => {
        stop();
        const { state } = JSON.parse(event.data);
        const isOver = !["waiting", "queued", "starting", "running"].includes(state);
        const parts = ["standing", "reason", "values", "history"];
        if (isOver) refresh(isFirst ? [...parts, "output"] : parts);
        else location.replace(location.pathname); // another attempt has begun
      });
      return source;
    });
  }

  // What has come is shown a few times a second: laying a long log out takes longer than adding
  // to it. Of a flood only the end is shown, as of the log that the page came with.
  let arrived = [];

  function append(log, said) {
    arrived.push(said);
    if (arrived.length === 1) setTimeout(() => requestAnimationFrame(() => show(log)), SHOW_EVERY_MS);
  }

  function show(log) {
    const isAtEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
    const parts = lastOf(arrived).map(partOf);
    arrived = [];
    log.append(...parts);
    let length = Number(log.dataset.length || 0);
    for (const part of parts) length += part.textContent.length;
    while (length > LONGEST_LOG && log.firstChild !== log.lastChild) {
      length -= log.firstChild.textContent.length;
      log.firstChild.remove();
    }
    log.dataset.length = length;
    if (isAtEnd) log.scrollTop = log.scrollHeight;
  }

  function lastOf(said) {
    let length = 0;
    let first = said.length;
    while (first > 0 && length < LONGEST_LOG) {
      first -= 1;
      for (const [, text] of said[first].pieces) length += text.length;
    }
    return said.slice(first);
  }

  function partOf({ stream, pieces }) {
    const part = document.createElement("span");
    part.className = stream;
    for (const [classes, text] of pieces) {
      if (classes === "") {
        part.append(text);
      } else {
        const span = document.createElement("span");
        span.className = classes;
        span.append(text);
        part.append(span);
      }
    }
    return part;
  }

  // What this page asks for

  const { changes, reload } = page().dataset;
  if (changes) followChanges(changes);
  if (reload) reloadAgain();

  function reloadAgain() {
    setTimeout(async () => {
      if (!document.hidden) await refresh(["page"]);
      reloadAgain();
    }, Number(page().dataset.reload) * 1000);
  }

  const log = document.getElementById("log");
  if (log !== null) {
    log.scrollTop = log.scrollHeight;
    if (log.dataset.stream) followLog(log);
  }
})();

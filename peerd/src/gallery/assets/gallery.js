// The gallery's script. Every page works without it; it lets in, keeps open pages up to date, and spares waiting.
"use strict";
(() => {
  const $ = (id) => document.getElementById(id);
  const csrf = document.body.dataset.csrf;
  const say = (text) => { const live = $("live"); if (live) live.textContent = text; };

  // The way in: the token of the fragment, which is out of the address before anything else happens.
  const enter = $("enter");
  if (enter && location.hash.length > 1) {
    $("token").value = location.hash.slice(1);
    history.replaceState(null, "", location.pathname);
    enter.submit();
    return;
  }

  // What cannot be taken back is asked for once more.
  document.addEventListener("submit", (event) => {
    const question = event.target.dataset && event.target.dataset.confirm;
    if (question && !confirm(question)) event.preventDefault();
  });

  // Before a preview is there, its colours: its ThumbHash (https://evanw.github.io/thumbhash) on the canvas behind it. Whatever a hash
  // says, few pixels are computed.
  const drawn = new WeakSet();
  const draw = (canvas) => {
    const bytes = Uint8Array.from(atob(canvas.dataset.thumbhash), (character) => character.charCodeAt(0));
    const [first, second] = [bytes[0] | bytes[1] << 8 | bytes[2] << 16, bytes[3] | bytes[4] << 8];
    const isOpaque = !(first >> 23 & 1), most = isOpaque ? 7 : 5, isWide = second >> 15 & 1;
    const [across, down] = [isWide ? most : second & 7, isWide ? second & 7 : most].map((count) => Math.max(3, count));
    // Four bits for each frequency, the lower ones first.
    let at = isOpaque ? 10 : 12;
    const frequencies = (across, down, scale) => {
      const found = [];
      for (let y = 0; y < down; y++) {
        for (let x = y ? 0 : 1; x * down < across * (down - y); x++, at++) {
          found.push([x, y, ((bytes[at >> 1] >> (at & 1 ? 4 : 0) & 15) / 7.5 - 1) * scale]);
        }
      }
      return found;
    };
    const light = frequencies(across, down, (first >> 18 & 31) / 31);
    const [yellow, red] = [3, 9].map((shift) => frequencies(3, 3, (second >> shift & 63) / 63 * 1.25));
    const { width, height } = canvas;
    const waves = (length) => Array.from({ length: 8 }, (_, n) =>
      Array.from({ length }, (_, place) => Math.cos(Math.PI / length * (place + .5) * n)));
    const [rows, columns] = [waves(height), waves(width)];
    const context = canvas.getContext("2d"), image = context.createImageData(width, height);
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const sum = (average, terms) => terms.reduce((sum, [u, v, f]) => sum + 2 * f * columns[u][x] * rows[v][y], average);
        const l = sum((first & 63) / 63, light);
        const p = sum((first >> 6 & 63) / 31.5 - 1, yellow), q = sum((first >> 12 & 63) / 31.5 - 1, red);
        const b = l - 2 / 3 * p, r = (3 * l - b + q) / 2;
        image.data.set([255 * r, 255 * (r - q), 255 * b, 255], 4 * (y * width + x));
      }
    }
    context.putImageData(image, 0, 0);
  };
  const drawAll = () => {
    for (const canvas of document.querySelectorAll("canvas[data-thumbhash]")) {
      if (drawn.has(canvas)) continue;
      drawn.add(canvas);
      draw(canvas);
    }
  };
  drawAll();

  // A page as the server renders it now. Null if the session is over.
  const fetched = async (address) => {
    const response = await fetch(address, { headers: { "x-live": "1" }, credentials: "same-origin" });
    if (response.status === 401) { over(); return null; }
    return new DOMParser().parseFromString(await response.text(), "text/html");
  };

  let stream = null;
  const over = () => {
    if (stream) stream.close();
    stream = null;
    const notices = $("notices");
    if (!notices || $("over")) return;
    const text = document.createElement("p");
    text.id = "over";
    text.className = "said error";
    text.setAttribute("role", "alert");
    text.textContent = "You are signed out of the gallery. Run dosctl gallery to come back.";
    notices.prepend(text);
  };

  // The parts of the page that show what has changed are taken from the page as it is now, unless somebody types in them.
  const isBusy = (part) => part.contains(document.activeElement) &&
    /^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement.tagName);
  const waiting = new Set();
  let timer = 0;
  const refresh = async () => {
    timer = 0;
    const ids = [...waiting];
    waiting.clear();
    const page = await fetched(location.href);
    if (!page) return;
    for (const id of ids) {
      const [here, now] = [$(id), page.getElementById(id)];
      if (!here || !now || here.innerHTML === now.innerHTML) continue;
      if (isBusy(here)) { waiting.add(id); continue; }
      if (id === "pictures" && $("grid") && $("grid").dataset.grown) {
        const [first, newest] = [here, now].map((part) => part.querySelector("#grid > li"));
        if (first && newest && first.outerHTML !== newest.outerHTML) say("There is something new: reload to see it.");
        continue;
      }
      here.replaceWith(now);
      drawAll();
      if (id !== "nav" && id !== "me") say("The page was updated.");
      if (id === "pictures") watchMore();
    }
  };
  document.addEventListener("focusout", () => { if (waiting.size && !timer) timer = setTimeout(refresh, 400); });
  const happened = (kind, about) => {
    for (const part of document.querySelectorAll("[data-live]")) {
      const kinds = part.dataset.live.split(" ");
      if (!kinds.includes(kind === "revoked" ? "grant" : kind)) continue;
      if (part.dataset.image && about && part.dataset.image !== about) continue;
      if (part.dataset.peer && about && part.dataset.peer !== about) continue;
      waiting.add(part.id);
    }
    if (waiting.size && !timer) timer = setTimeout(refresh, 250);
  };

  const viewer = $("viewer");
  const listen = () => {
    if (stream || document.hidden || !(csrf || viewer)) return;
    stream = new EventSource("/events");
    stream.onmessage = ({ data }) => {
      if (data === "ended") { over(); return; }
      const space = data.indexOf(" ");
      const [kind, about] = space < 0 ? [data, ""] : [data.slice(0, space), data.slice(space + 1)];
      if (viewer && (kind === "revoked" || kind === "removed") && viewer.dataset.path === about) {
        empty("The owner has revoked this. What was shown is gone.");
      }
      if (csrf) happened(kind, about);
    };
    stream.onerror = () => { if (stream && stream.readyState === 2) { stream = null; setTimeout(listen, 5000); } };
  };
  // A browser has few connections to a host: only the window in front streams.
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) { listen(); for (const part of document.querySelectorAll("[data-live]")) waiting.add(part.id); if (csrf && !timer) timer = setTimeout(refresh, 50); }
    else if (stream) { stream.close(); stream = null; }
  });
  listen();
  // Events tell of contacts alone: what strangers publish, and who is online among them, is looked at now and then.
  if ($("pictures")) setInterval(() => {
    if (!stream || document.hidden) return;
    waiting.add("pictures");
    if (!timer) timer = setTimeout(refresh, 50);
  }, 10000);

  // Pictures: search as one types, and the next page when the end of this one comes into view.
  const search = $("search");
  if (search) {
    let typed = 0, turn = 0;
    search.addEventListener("input", () => {
      clearTimeout(typed);
      typed = setTimeout(async () => {
        const mine = ++turn;
        const fields = new URLSearchParams(new FormData(search));
        for (const name of ["q", "from", "until"]) if (!fields.get(name)) fields.delete(name);
        const address = "/" + (fields.size ? "?" + fields : "");
        const page = await fetched(address);
        if (!page || mine !== turn) return;
        history.replaceState(null, "", address);
        $("pictures").replaceWith(page.getElementById("pictures"));
        drawAll();
        say(document.querySelectorAll("#grid > li").length + " pictures found");
        watchMore();
      }, 200);
    });
  }
  function watchMore() {
    const more = $("more");
    if (!more || !window.IntersectionObserver) return;
    const observer = new IntersectionObserver(async ([entry]) => {
      if (!entry.isIntersecting) return;
      observer.disconnect();
      const page = await fetched(more.href);
      if (!page || !more.isConnected) return;
      $("grid").append(...page.querySelectorAll("#grid > li"));
      drawAll();
      $("grid").dataset.grown = "1";
      const next = page.getElementById("more");
      if (next) { more.parentElement.replaceWith(next.parentElement); watchMore(); } else more.parentElement.remove();
    }, { rootMargin: "1200px" });
    observer.observe(more);
  }
  watchMore();

  // The viewer: zoom, full screen, keys; and nothing is left when the page is.
  function empty(text) {
    const original = $("original");
    if (original) original.remove();
    $("stage").textContent = "";
    const failed = $("failed");
    failed.hidden = false;
    if (text) failed.textContent = text;
  }
  if (viewer) {
    const [stage, zoom, full, original] = [$("stage"), $("zoom"), $("full"), $("original")];
    document.querySelector(".keys").hidden = false;
    const toggle = () => {
      const actual = stage.classList.toggle("actual");
      zoom.setAttribute("aria-pressed", String(actual));
    };
    const fullScreen = () => document.fullscreenElement ? document.exitFullscreen() : viewer.requestFullscreen();
    zoom.addEventListener("click", toggle);
    full.addEventListener("click", fullScreen);
    original.addEventListener("dblclick", toggle);
    const failed = () => empty("");
    original.addEventListener("error", failed);
    if (original.complete && !original.naturalWidth) failed();
    document.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.altKey || event.metaKey) return;
      if (event.key === "z") toggle();
      else if (event.key === "f") fullScreen();
      else if (event.key === "Escape" && !document.fullscreenElement) $("close").click();
    });
    stage.focus();
    addEventListener("pagehide", () => empty("What was shown is gone."));
  }

  // Adding: one request for each file, so that each has its progress and its own outcome.
  const add = $("add");
  if (add) {
    const [files, drop, list] = [$("files"), $("drop"), $("progress")];
    const queue = [];
    let running = false;
    const row = (file) => {
      const item = document.createElement("li");
      item.className = "card";
      const [name, state, bar] = ["span", "span", "progress"].map((tag) => document.createElement(tag));
      name.textContent = file.name;
      state.textContent = "waiting";
      bar.max = 1; bar.value = 0;
      bar.setAttribute("aria-label", file.name);
      item.append(name, state, bar);
      list.append(item);
      return { file, state, bar, item };
    };
    const send = ({ file, state, bar }) => new Promise((done) => {
      const body = new FormData();
      body.append("album", add.album.value);
      body.append("description", add.description.value);
      if (add.private.checked) body.append("private", "yes");
      if (add.date.checked) body.append("date", "yes");
      body.append("file", file);
      const request = new XMLHttpRequest();
      request.open("POST", "/add");
      request.setRequestHeader("x-csrf", csrf);
      request.upload.onprogress = (event) => { bar.value = event.loaded / (event.total || 1); state.textContent = "sealing"; };
      request.onload = () => {
        bar.value = 1;
        const isDone = request.status === 200;
        state.textContent = isDone ? "added as " + request.responseText : request.status === 422 ? request.responseText : "failed";
        state.className = isDone ? "" : "error";
        done();
      };
      request.onerror = () => { state.textContent = "peerd is out of reach"; state.className = "error"; done(); };
      request.send(body);
    });
    const work = async () => {
      if (running) return;
      running = true;
      for (let next; (next = queue.shift());) await send(next);
      running = false;
    };
    const take = (chosen) => { for (const file of chosen) queue.push(row(file)); work(); };
    add.addEventListener("submit", (event) => { event.preventDefault(); take(files.files); files.value = ""; });
    files.addEventListener("change", () => { if (files.files.length) { take([...files.files]); files.value = ""; } });
    for (const kind of ["dragenter", "dragover"]) {
      addEventListener(kind, (event) => { event.preventDefault(); drop.classList.add("over"); });
    }
    addEventListener("dragleave", (event) => { if (!event.relatedTarget) drop.classList.remove("over"); });
    addEventListener("drop", (event) => {
      event.preventDefault();
      drop.classList.remove("over");
      take([...event.dataTransfer.files]);
    });
    addEventListener("beforeunload", (event) => { if (running) event.preventDefault(); });
  }
})();

"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  const { types, nodes, edges } = JSON.parse(byId("data").textContent);
  const canvas = byId("canvas"), hint = byId("hint"), details = byId("details"), search = byId("search");
  const pen = canvas.getContext("2d");
  const view = { x: 0, y: 0, zoom: 1 };
  const hidden = new Set();
  const MOST_RESULTS = 100, MOST_SENTENCES = 3;
  let width = 0, height = 0, chosen = null, hovered = null, scheduled = false;

  // ---------------------------------------------------------------- the graph
  nodes.forEach((node, number) => Object.assign(node, { number, edges: [] }));
  const pairs = new Map();
  edges.forEach((edge) => {
    edge.from = nodes[edge.head];
    edge.to = nodes[edge.tail];
    edge.from.edges.push(edge);
    if (edge.to !== edge.from) edge.to.edges.push(edge);
    const key = `${Math.min(edge.head, edge.tail)} ${Math.max(edge.head, edge.tail)}`;
    pairs.set(key, [...(pairs.get(key) || []), edge]);
  });
  // Edges between the same two nodes are bent by different amounts.
  for (const group of pairs.values()) {
    group.forEach((edge, number) => {
      const side = edge.head <= edge.tail ? 1 : -1;
      edge.bend = side * (number - (group.length - 1) / 2) * Math.min(0.28, 1.4 / group.length);
    });
  }
  nodes.forEach((node) => { node.size = Math.min(5 + 1.5 * Math.sqrt(node.edges.length), 16); });
  const important = [...nodes].sort((one, other) => other.edges.length - one.edges.length
    || other.documents - one.documents || one.number - other.number);
  const isShown = (node) => !hidden.has(node.type);
  const isEdgeShown = (edge) => isShown(edge.from) && isShown(edge.to);
  const plural = (count, word) => `${count.toLocaleString("en")} ${word}${count === 1 ? "" : "s"}`;
  const folded = (text) => text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
  nodes.forEach((node) => { node.searched = folded([node.name, ...node.aliases, ...node.ids].join("\n")); });
  byId("size").textContent = `${nodes.length === 1 ? "1 entity" : `${nodes.length.toLocaleString("en")} entities`}, `
    + plural(edges.length, "relation");

  // ---------------------------------------------------------------- colours and shapes
  const COLOURS = ["#3f7fd9", "#d47a24", "#2f9c69", "#b3559f", "#c8504f", "#7b70d2", "#94803a", "#3b98a8"];
  const colourOf = (type) => COLOURS[type] || `hsl(${(type * 137.508) % 360} 50% 52%)`;
  const theme = () => {
    const style = getComputedStyle(document.documentElement);
    return Object.fromEntries(["ground", "text", "faint", "edge", "accent"]
      .map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
  };
  let paint = theme();

  function shape(context, type, x, y, size) {
    context.beginPath();
    const sides = [0, 4, 3, 4][type % 4];
    if (!sides) {
      context.arc(x, y, size, 0, 2 * Math.PI);
      return;
    }
    const turn = type % 4 === 1 ? Math.PI / 4 : -Math.PI / 2, reach = size * (sides === 3 ? 1.3 : 1.2);
    for (let corner = 0; corner < sides; corner++) {
      const angle = turn + (2 * Math.PI * corner) / sides;
      context.lineTo(x + reach * Math.cos(angle), y + reach * Math.sin(angle));
    }
    context.closePath();
  }

  // ---------------------------------------------------------------- drawing
  const toScreen = (x, y) => [x * view.zoom + view.x, y * view.zoom + view.y];
  const radius = (node) => Math.max(2, node.size * Math.min(Math.max(view.zoom, 0.28), 1.6));

  function curveOf(edge) {
    const [x1, y1] = toScreen(edge.from.x, edge.from.y), [x2, y2] = toScreen(edge.to.x, edge.to.y);
    const r = radius(edge.from);
    if (edge.from === edge.to) return [x1 - r / 2, y1, x1 + r / 2, y1 - 9 * r, x1 + r / 2, y1]; // a loop above the node
    const cx = (x1 + x2) / 2 - 2 * edge.bend * (y2 - y1), cy = (y1 + y2) / 2 + 2 * edge.bend * (x2 - x1);
    return [x1, y1, cx, cy, x2, y2];
  }

  const onCurve = ([x1, y1, cx, cy, x2, y2], t) => [
    (1 - t) ** 2 * x1 + 2 * t * (1 - t) * cx + t ** 2 * x2,
    (1 - t) ** 2 * y1 + 2 * t * (1 - t) * cy + t ** 2 * y2,
  ];

  function drawEdge(edge, strong, dim) {
    const curve = curveOf(edge), [x1, y1, cx, cy, x2, y2] = curve;
    const margin = 40;
    if (Math.max(x1, x2, cx) < -margin || Math.min(x1, x2, cx) > width + margin) return;
    if (Math.max(y1, y2, cy) < -margin || Math.min(y1, y2, cy) > height + margin) return;
    pen.globalAlpha = dim ? 0.15 : 1;
    pen.strokeStyle = pen.fillStyle = strong ? paint.accent : paint.edge;
    pen.lineWidth = strong ? 2 : Math.min(1.2, Math.max(0.4, view.zoom));
    pen.beginPath();
    pen.moveTo(x1, y1);
    pen.quadraticCurveTo(cx, cy, x2, y2);
    pen.stroke();
    if (view.zoom > 0.3 || strong) drawTip(edge, cx, cy, x2, y2, strong);
    pen.globalAlpha = 1;
  }

  function drawTip(edge, cx, cy, x2, y2, strong) {
    const angle = Math.atan2(y2 - cy, x2 - cx), size = strong ? 9 : 6 * Math.min(1, view.zoom + 0.3);
    const x = x2 - radius(edge.to) * Math.cos(angle), y = y2 - radius(edge.to) * Math.sin(angle);
    pen.beginPath();
    pen.moveTo(x, y);
    for (const turn of [-0.4, 0.4]) pen.lineTo(x - size * Math.cos(angle + turn), y - size * Math.sin(angle + turn));
    pen.closePath();
    pen.fill();
  }

  function drawNode(node, strong, dim) {
    const [x, y] = toScreen(node.x, node.y);
    if (x < -30 || y < -30 || x > width + 30 || y > height + 30) return;
    pen.globalAlpha = dim ? 0.25 : 1;
    shape(pen, node.type, x, y, radius(node));
    pen.fillStyle = colourOf(node.type);
    pen.fill();
    pen.lineWidth = strong ? 3 : Math.min(1.2, radius(node) / 4);
    pen.strokeStyle = strong ? paint.text : paint.ground;
    pen.stroke();
    pen.globalAlpha = 1;
  }

  const short = (text, most) => ([...text].length > most ? `${[...text].slice(0, most - 1).join("")}…` : text);

  function write(text, x, y, colour) {
    pen.lineWidth = 3.5;
    pen.lineJoin = "round";
    pen.strokeStyle = paint.ground;
    pen.strokeText(text, x, y);
    pen.fillStyle = colour;
    pen.fillText(text, x, y);
  }

  // Names are written where no other name stands, those of much connected nodes first.
  function writeNames(first) {
    const taken = [];
    const take = (box) => {
      const free = taken.every((other) => box[2] < other[0] || box[0] > other[2] || box[3] < other[1]
        || box[1] > other[3]);
      if (free) taken.push(box);
      return free;
    };
    pen.textAlign = "center";
    let written = 0;
    for (const node of [...first, ...important]) {
      const forced = first.has(node);
      if (!isShown(node) || (written > 250 && !forced)) continue;
      if (!node.edges.length && view.zoom < 0.5 && !forced) continue; // what is unconnected can wait
      const [x, middle] = toScreen(node.x, node.y);
      if (x < -80 || middle < -20 || x > width + 80 || middle > height + 20) continue;
      pen.font = `${forced ? 600 : 400} 12px system-ui, sans-serif`;
      const text = short(node.name, forced ? 60 : 26), y = middle + radius(node) + 13;
      const half = pen.measureText(text).width / 2 + 3, box = [x - half, y - 12, x + half, y + 4];
      if (!take(box)) continue;
      written++;
      write(text, x, y, paint.text);
    }
    return take;
  }

  // A label stands where the line leaves it room.
  function writeLabel(edge, take, forced) {
    const curve = curveOf(edge), text = short(edge.label, 40);
    pen.font = "11px system-ui, sans-serif";
    const half = pen.measureText(text).width / 2;
    for (const t of [0.5, 0.38, 0.62, 0.28, 0.72]) {
      const [x, y] = onCurve(curve, t);
      if (take([x - half, y - 8, x + half, y + 6]) || (forced && t === 0.72)) {
        write(text, x, y + 3, paint.faint);
        return;
      }
    }
  }

  function draw() {
    scheduled = false;
    const focus = hovered || chosen;
    const near = new Set(), lines = new Set();
    if (focus && focus.from) lines.add(focus);
    else if (focus) focus.edges.filter(isEdgeShown).forEach((edge) => lines.add(edge));
    if (focus && !focus.from) near.add(focus);
    lines.forEach((edge) => near.add(edge.from).add(edge.to));
    pen.clearRect(0, 0, width, height);
    const shown = edges.filter(isEdgeShown);
    shown.forEach((edge) => { if (!lines.has(edge)) drawEdge(edge, false, focus); });
    lines.forEach((edge) => drawEdge(edge, true, false));
    nodes.filter(isShown).forEach((node) => drawNode(node, node === focus, focus && !near.has(node)));
    const take = writeNames(near);
    if (lines.size && lines.size <= 40) lines.forEach((edge) => writeLabel(edge, take, edge === focus));
    else if (!focus && view.zoom > 1.3) shown.forEach((edge) => writeLabel(edge, take, false));
  }

  function redraw() {
    if (!scheduled) requestAnimationFrame(draw);
    scheduled = true;
  }

  // ---------------------------------------------------------------- moving and zooming
  function zoomBy(factor, x = width / 2, y = height / 2) {
    const zoom = Math.min(Math.max(view.zoom * factor, 0.02), 6), change = zoom / view.zoom;
    view.x = x - (x - view.x) * change;
    view.y = y - (y - view.y) * change;
    view.zoom = zoom;
    redraw();
  }

  function showArea(left, top, right, bottom, most) {
    const margin = Math.min(70, width / 8);
    view.zoom = Math.min((width - 2 * margin) / Math.max(right - left, 1), (height - 2 * margin) / Math.max(bottom - top, 1));
    view.zoom = Math.min(Math.max(view.zoom, 0.02), most);
    view.x = width / 2 - (view.zoom * (left + right)) / 2;
    view.y = height / 2 - (view.zoom * (top + bottom)) / 2;
    redraw();
  }

  function showAll(some, most = 1.4) {
    if (!some.length) return;
    const extreme = (least, axis) => some.reduce((best, node) => least(best, node[axis]), some[0][axis]);
    showArea(extreme(Math.min, "x"), extreme(Math.min, "y"), extreme(Math.max, "x"), extreme(Math.max, "y"), most);
  }

  const whole = () => showAll(nodes.filter(isShown));

  function measure() {
    const box = canvas.getBoundingClientRect(), dense = window.devicePixelRatio || 1;
    const first = !width;
    if (box.width === width && box.height === height && !first) return;
    width = box.width;
    height = box.height;
    canvas.width = Math.round(width * dense);
    canvas.height = Math.round(height * dense);
    pen.setTransform(dense, 0, 0, dense, 0, 0);
    if (first) whole();
    draw();
  }

  // ---------------------------------------------------------------- what is under the pointer
  function nodeAt(x, y) {
    let best = null, least = Infinity;
    for (const node of nodes) {
      if (!isShown(node)) continue;
      const [nx, ny] = toScreen(node.x, node.y), distance = Math.hypot(nx - x, ny - y) - radius(node);
      if (distance < 4 && distance < least) [best, least] = [node, distance];
    }
    return best;
  }

  function edgeAt(x, y) {
    let best = null, least = 6;
    for (const edge of edges) {
      if (!isEdgeShown(edge)) continue;
      const curve = curveOf(edge), reach = 8;
      if (x < Math.min(curve[0], curve[2], curve[4]) - reach || x > Math.max(curve[0], curve[2], curve[4]) + reach) continue;
      for (let part = 0; part <= 24; part++) {
        const [ex, ey] = onCurve(curve, part / 24), [fx, fy] = onCurve(curve, Math.min(part + 1, 24) / 24);
        const distance = toSegment(x, y, ex, ey, fx, fy);
        if (distance < least) [best, least] = [edge, distance];
      }
    }
    return best;
  }

  function toSegment(x, y, ax, ay, bx, by) {
    const length = (bx - ax) ** 2 + (by - ay) ** 2;
    const t = length ? Math.max(0, Math.min(1, ((x - ax) * (bx - ax) + (y - ay) * (by - ay)) / length)) : 0;
    return Math.hypot(ax + t * (bx - ax) - x, ay + t * (by - ay) - y);
  }

  function hover(x, y) {
    const target = nodeAt(x, y) || edgeAt(x, y);
    canvas.style.cursor = target ? "pointer" : "grab";
    if (target !== hovered) {
      hovered = target;
      hint.replaceChildren(...(target ? (target.from ? aboutEdge(target, MOST_SENTENCES) : aboutNode(target)) : []));
      redraw();
    }
    hint.hidden = !target;
    if (!target) return;
    const box = hint.getBoundingClientRect();
    hint.style.left = `${Math.max(4, Math.min(x + 16, width - box.width - 4))}px`;
    hint.style.top = `${y + 20 + box.height > height ? Math.max(4, y - box.height - 14) : y + 18}px`;
  }

  // ---------------------------------------------------------------- texts; all of them as text, never as markup
  function element(name, content = [], attributes = {}) {
    const made = document.createElement(name);
    made.append(...[content].flat());
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    return made;
  }

  const faint = (text) => element("p", text, { class: "faint" });
  const scored = (score) => (score === null || score === undefined ? "" : `score ${score.toFixed(2)}`);
  const joined = (...parts) => parts.filter(Boolean).join(" · ");
  const pattern = (text) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");

  function aboutNode(node) {
    const others = node.aliases.filter((alias) => alias !== node.name);
    const content = [element("h2", node.name), faint(joined(types[node.type], scored(node.score),
      plural(node.documents, "document"), plural(node.mentions, "mention"), plural(node.edges.length, "relation")))];
    if (others.length) content.push(element("p", `also: ${short(others.join(", "), 300)}`));
    if (node.ids.length) content.push(element("p", `known as: ${node.ids.join(", ")}`));
    return content;
  }

  // The names of head and tail in a sentence, the longest first.
  function marked(sentence, edge) {
    const roles = new Map();
    for (const [role, node] of [["tail", edge.to], ["head", edge.from]]) {
      for (const name of [node.name, ...node.aliases]) roles.set(name, role);
    }
    const names = [...roles.keys()].sort((one, other) => other.length - one.length).map(pattern);
    const parts = sentence.split(new RegExp(`(?<![\\p{L}\\p{N}])(${names.join("|")})(?![\\p{L}\\p{N}])`, "u"));
    return parts.map((part, number) => (number % 2 ? element("mark", part, { class: roles.get(part) }) : part));
  }

  function aboutEdge(edge, most) {
    const content = [element("h2", `${edge.from.name} → ${edge.to.name}`),
      faint(joined(edge.label, scored(edge.score), plural(edge.documents, "document")))];
    let left = most;
    for (const support of edge.support) {
      const place = joined(support.document, support.date, edge.support.length > 1 ? scored(support.score) : "");
      if (!support.sentences.length && left > 0) content.push(faint(joined(place, "no sentence known")));
      for (const [number, sentence] of support.sentences) {
        if (left-- > 0) content.push(element("blockquote", [element("div", marked(sentence, edge)),
          faint(`${place}, sentence ${number}`)]));
      }
    }
    if (left < 0) content.push(faint(`and ${plural(-left, "sentence")} more`));
    return content;
  }

  function entry(text, aside, action) {
    const made = element("button", [element("span", text), element("span", aside, { class: "faint" })], { type: "button" });
    made.addEventListener("click", action);
    return element("li", made);
  }

  function relations(node) {
    const list = (title, some) => (some.length ? [element("h3", title), element("ul", some)] : []);
    const side = (from) => node.edges.filter((edge) => edge[from ? "from" : "to"] === node).map((edge) => entry(
      from ? `${edge.label} → ${edge.to.name}` : `${edge.from.name} → ${edge.label}`, scored(edge.score).slice(6),
      () => choose(edge, true)));
    return [...list("Relations from here", side(true)), ...list("Relations to here", side(false))];
  }

  function choose(target, move) {
    chosen = target;
    hovered = null;
    hint.hidden = true;
    if (!target) {
      details.replaceChildren(element("p", "Choose an entity or an arrow to see the sentences behind it.", { class: "faint" }));
    } else if (target.from) {
      const ends = [target.from, target.to].map((node) => entry(node.name, types[node.type], () => choose(node, true)));
      details.replaceChildren(...aboutEdge(target, Infinity), element("h3", "Entities"), element("ul", ends));
    } else {
      details.replaceChildren(...aboutNode(target), ...relations(target));
    }
    details.scrollTop = 0;
    if (target && move) reveal(target);
    redraw();
  }

  // Move to what was chosen in a list, near enough to read it.
  function reveal(target) {
    const ends = target.from ? [target.from, target.to] : [target, ...target.edges.flatMap((edge) => [edge.from, edge.to])];
    ends.forEach((node) => hidden.delete(node.type));
    document.querySelectorAll("#legend input").forEach((box) => { box.checked = !hidden.has(Number(box.value)); });
    showAll(ends, 1.4);
    if (view.zoom < 0.5) {
      const middle = ends[0];
      view.zoom = 0.7;
      view.x = width / 2 - view.zoom * middle.x;
      view.y = height / 2 - view.zoom * middle.y;
    }
  }

  // ---------------------------------------------------------------- search and legend
  function list() {
    const words = folded(search.value).split(/\s+/).filter(Boolean);
    const hits = important.filter((node) => isShown(node) && words.every((word) => node.searched.includes(word)));
    const rank = (node) => [node.searched.split("\n")[0] === words.join(" "), node.searched.startsWith(words.join(" "))];
    if (words.length) hits.sort((one, other) => rank(other)[0] - rank(one)[0] || rank(other)[1] - rank(one)[1]);
    byId("results").replaceChildren(...hits.slice(0, MOST_RESULTS)
      .map((node) => entry(node.name, types[node.type], () => choose(node, true))));
    const more = hits.length > MOST_RESULTS ? `; the first ${MOST_RESULTS} are listed` : "";
    byId("count").textContent = words.length ? `${plural(hits.length, "hit")}${more}` : `Most connected first${more}`;
    return hits;
  }

  types.forEach((type, number) => {
    const box = element("input", [], { type: "checkbox", value: number });
    box.checked = true;
    box.addEventListener("change", () => {
      hidden[box.checked ? "delete" : "add"](number);
      list();
      redraw();
    });
    const sign = element("canvas", [], { width: 28, height: 28, "aria-hidden": "true" }), context = sign.getContext("2d");
    shape(context, number, 14, 14, 10);
    context.fillStyle = colourOf(number);
    context.fill();
    const count = nodes.filter((node) => node.type === number).length;
    byId("legend").append(element("label", [box, sign, `${type} (${count})`]));
  });

  search.addEventListener("input", list);
  search.addEventListener("keydown", (event) => {
    const hits = event.key === "Enter" ? list() : [];
    if (hits.length) choose(hits[0], true);
  });

  // ---------------------------------------------------------------- pointers and keys
  const pointers = new Map();
  let travelled = 0;
  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  canvas.addEventListener("pointerdown", (event) => {
    pointers.set(event.pointerId, place(event));
    canvas.setPointerCapture(event.pointerId);
    travelled = 0;
  });
  canvas.addEventListener("pointermove", (event) => {
    const [x, y] = place(event), before = pointers.get(event.pointerId);
    if (!before) {
      hover(x, y);
      return;
    }
    const other = [...pointers].find(([id]) => id !== event.pointerId);
    pointers.set(event.pointerId, [x, y]);
    travelled += Math.hypot(x - before[0], y - before[1]);
    if (other) {
      const [ox, oy] = other[1], length = Math.hypot(before[0] - ox, before[1] - oy);
      if (length > 1) zoomBy(Math.hypot(x - ox, y - oy) / length, (x + ox) / 2, (y + oy) / 2);
    } else {
      view.x += x - before[0];
      view.y += y - before[1];
      hint.hidden = true;
      redraw();
    }
  });
  const release = (event) => {
    const known = pointers.delete(event.pointerId);
    if (!known || event.type !== "pointerup" || travelled > 5) return;
    const [x, y] = place(event);
    choose(nodeAt(x, y) || edgeAt(x, y), false);
  };
  canvas.addEventListener("pointerup", release);
  canvas.addEventListener("pointercancel", release);
  canvas.addEventListener("pointerleave", () => {
    hovered = null;
    hint.hidden = true;
    redraw();
  });
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    zoomBy(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0015)), ...place(event));
  }, { passive: false });
  const STEPS = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] };
  canvas.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const step = STEPS[event.key];
    if (step) [view.x, view.y] = [view.x + step[0], view.y + step[1]];
    else if (event.key === "+" || event.key === "=") zoomBy(1.25);
    else if (event.key === "-") zoomBy(0.8);
    else if (event.key === "0") whole();
    else return;
    event.preventDefault();
    redraw();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") choose(null, false);
  });
  byId("closer").addEventListener("click", () => zoomBy(1.4));
  byId("farther").addEventListener("click", () => zoomBy(1 / 1.4));
  byId("whole").addEventListener("click", whole);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    paint = theme();
    redraw();
  });
  new ResizeObserver(measure).observe(canvas);
  list();
  choose(null, false);
  measure();
})();

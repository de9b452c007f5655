/* Comfort for the pages of the network: they renew themselves, and the map can be moved and magnified. Every page works without this file. */
(function () {
  'use strict';
  var SVG = 'http://www.w3.org/2000/svg', DEEPEST = 60; /* so many times the map is magnified at most */

  /* ---- what changes is told by the server; the page then fetches itself anew ---- */
  var live = document.getElementById('live'), mapBox = document.querySelector('[data-map]'), source = null, waiting = null;
  var address = (live || mapBox || { dataset: {} }).dataset.live;
  function lost(is) {
    var line = document.querySelector('.lost');
    if (!is && line) line.remove();
    if (!is || line || !live || !live.dataset.lost) return;
    line = document.createElement('p');
    line.className = 'lost';
    line.setAttribute('role', 'status');
    line.textContent = live.dataset.lost;
    document.body.appendChild(line);
  }
  function renew() {
    waiting = null;
    if (mapBox) return mapBox.dispatchEvent(new Event('renew'));
    fetch(location.href, { headers: { Accept: 'text/html' } }).then(function (r) { return r.ok ? r.text() : Promise.reject(r.status); }).then(function (text) {
      var fresh = new DOMParser().parseFromString(text, 'text/html').getElementById('live'), here = document.activeElement;
      var key = here && live.contains(here) && here.getAttribute('href');
      if (!fresh) return;
      live.replaceChildren.apply(live, Array.prototype.slice.call(fresh.childNodes).map(function (n) { return document.importNode(n, true); }));
      var again = key && Array.prototype.find.call(live.querySelectorAll('a'), function (a) { return a.getAttribute('href') === key; });
      if (again) again.focus({ preventScroll: true });
      live.dataset.cursor = fresh.dataset.cursor;
      live.dispatchEvent(new Event('renewed'));
      lost(false);
    }).catch(function () { lost(true); });
  }
  function soon() { if (!waiting) waiting = setTimeout(renew, 150); }
  function listen() {
    if (!address || !window.EventSource || source) return;
    source = new EventSource(address);
    source.addEventListener('begin', function (event) { /* something may have happened since the page was made */
      lost(false);
      if (String(JSON.parse(event.data).cursor) !== (live || mapBox).dataset.cursor) soon();
    });
    source.addEventListener('change', soon);
    source.onerror = function () { lost(true); };
  }
  document.addEventListener('visibilitychange', function () {
    if (document.hidden && source) { source.close(); source = null; } else if (!document.hidden && address) { listen(); soon(); }
  });
  listen();

  /* ---- the map ---- */
  if (!mapBox) return;
  var svg = mapBox.querySelector('svg'), whole = svg.viewBox.baseVal, all = { x: whole.x, y: whole.y, w: whole.width, h: whole.height }, box = Object.assign({}, all);
  var layer = svg.querySelector('.points'), data = null, fa = mapBox.dataset.lang === 'fa', frame = null, nf = new Intl.NumberFormat(fa ? 'fa-IR' : 'en');
  var order = { unknown: 0, up: 1, maintenance: 2, degraded: 3, unreachable: 4, down: 5 }, still = { all: layer.innerHTML };
  function make(name, attributes, parent) {
    var e = document.createElementNS(SVG, name);
    Object.keys(attributes).forEach(function (k) { e.setAttribute(k, attributes[k]); });
    if (parent) parent.appendChild(e);
    return e;
  }
  function scale() { return box.w / all.w; }
  function show() {
    svg.setAttribute('viewBox', [box.x, box.y, box.w, box.h].map(function (v) { return v.toFixed(1); }).join(' '));
    svg.querySelectorAll('.words text').forEach(function (t) { t.style.fontSize = (t.classList.contains('name') ? 17 : 21) * Math.sqrt(scale()) + 'px'; });
    draw();
  }
  function unit() { return scale() * Math.max(1, all.w / (svg.clientWidth || all.w) / 1.5); } /* on a small screen circles and their numbers are larger beside the map */
  function place(p) { return { x: (p[0] - frame[0]) * frame[2], y: (frame[1] - p[1]) * frame[3] }; }
  /* Points nearer than a thumb become one that tells how many and the worst of them. */
  function clusters() {
    var cell = 34 * unit(), found = {};
    data.points.forEach(function (p) {
      var at = place(p);
      if (at.x < box.x - cell || at.x > box.x + box.w + cell || at.y < box.y - cell || at.y > box.y + box.h + cell) return;
      if (mapBox.dataset.whole && scale() > 0.6 && order[data.states[p[2]]] < 2) return;
      var key = Math.floor(at.x / cell) + ' ' + Math.floor(at.y / cell), c = found[key], state = data.states[p[2]];
      if (!c) { found[key] = { x: at.x, y: at.y, n: 1, state: state, points: [p] }; } else {
        c.x = (c.x * c.n + at.x) / (c.n + 1);
        c.y = (c.y * c.n + at.y) / (c.n + 1);
        c.n += 1;
        c.points.push(p);
        if (order[state] > order[c.state]) c.state = state;
      }
    });
    return apart(Object.keys(found).map(function (k) { return found[k]; }));
  }
  function radius(c) { return (c.n > 1 ? Math.min(10 + 2.2 * Math.sqrt(c.n), 30) : 8) * unit(); }
  /* Circles of neighbouring cells that would cover one another's numbers become one, until none do. */
  function apart(list) {
    for (var i = 0; i < list.length; i++) {
      for (var j = 0; j < list.length; j++) {
        var c = list[i], d = list[j], all = c.n + d.n;
        if (j === i || Math.hypot(c.x - d.x, c.y - d.y) >= radius(c) + radius(d)) continue;
        c.x = (c.x * c.n + d.x * d.n) / all;
        c.y = (c.y * c.n + d.y * d.n) / all;
        c.n = all;
        c.points = c.points.concat(d.points);
        if (order[d.state] > order[c.state]) c.state = d.state;
        list.splice(j, 1);
        if (j < i) i -= 1;
        j = -1;
      }
    }
    return list;
  }
  /* Offices that would still be one circle when nothing can be magnified further: they are named instead. */
  function together(c) {
    var at = c.points.map(place), cell = 34 * unit() * all.w / DEEPEST / box.w;
    function spread(axis) { var v = at.map(function (p) { return p[axis]; }); return Math.max.apply(null, v) - Math.min.apply(null, v); }
    return box.w <= all.w / DEEPEST * 1.01 || Math.max(spread('x'), spread('y')) < cell;
  }
  function list(c, name) {
    var dialog = document.createElement('dialog'), ul = document.createElement('ul'), close = document.createElement('button');
    dialog.className = 'map-list';
    dialog.setAttribute('aria-label', name);
    close.type = 'button';
    close.textContent = '×';
    close.setAttribute('aria-label', mapBox.dataset.close);
    close.addEventListener('click', function () { dialog.close(); });
    dialog.appendChild(close);
    dialog.appendChild(document.createElement('h2')).textContent = name;
    c.points.slice().sort(function (p, q) { return order[data.states[q[2]]] - order[data.states[p[2]]] || p[5].localeCompare(q[5], fa ? 'fa' : 'en'); }).forEach(function (p) {
      var li = ul.appendChild(document.createElement('li')), a = li.appendChild(document.createElement('a'));
      a.href = '/network/offices/' + encodeURIComponent(p[4]);
      a.textContent = p[5];
      li.appendChild(document.createTextNode(': ' + data.words[p[2]]));
    });
    dialog.appendChild(ul);
    dialog.addEventListener('click', function (event) { if (event.target === dialog) dialog.close(); }); /* beside it */
    dialog.addEventListener('close', function () { dialog.remove(); });
    document.body.appendChild(dialog);
    dialog.showModal();
  }
  function draw() {
    if (!data) return;
    layer.textContent = '';
    var k = unit();
    clusters().forEach(function (c) {
      var word = data.words[data.states.indexOf(c.state)], name = c.n > 1 ? mapBox.dataset.many.replace('{n}', nf.format(c.n)).replace('{state}', word) : c.points[0][5] + ': ' + word;
      var a = make('a', { 'aria-label': name, href: c.n > 1 ? '#' : '/network/offices/' + encodeURIComponent(c.points[0][4]) }, layer), g = make('g', { class: 'point ns-' + c.state }, a);
      make('circle', { cx: c.x.toFixed(1), cy: c.y.toFixed(1), r: radius(c).toFixed(2) }, g);
      make('title', {}, g).textContent = name;
      if (c.n > 1) {
        var t = make('text', { x: c.x.toFixed(1), y: (c.y + 6 * k).toFixed(1), 'font-size': (17 * k).toFixed(2) }, g);
        t.style.fontSize = 17 * k + 'px';
        t.textContent = nf.format(c.n);
        a.addEventListener('click', function (event) { event.preventDefault(); if (together(c)) list(c, name); else zoom(0.4, c.x, c.y); });
      }
      g.firstChild.style.strokeWidth = 2.5 * k;
    });
  }
  function zoom(by, x, y) {
    var w = Math.min(Math.max(box.w * by, all.w / DEEPEST), all.w), k = w / box.w;
    if (x === undefined) { x = box.x + box.w / 2; y = box.y + box.h / 2; }
    box = { x: x - (x - box.x) * k, y: y - (y - box.y) * k, w: w, h: box.h * k };
    keep();
    show();
  }
  function keep() {
    box.x = Math.min(Math.max(box.x, all.x), all.x + all.w - box.w);
    box.y = Math.min(Math.max(box.y, all.y), all.y + all.h - box.h);
  }
  function under(event) {
    var r = svg.getBoundingClientRect();
    return { x: box.x + (event.clientX - r.left) / r.width * box.w, y: box.y + (event.clientY - r.top) / r.height * box.h };
  }
  var tools = document.createElement('div');
  tools.className = 'map-tools';
  [['+', 'zoomIn', function () { zoom(0.6); }], ['−', 'zoomOut', function () { zoom(1 / 0.6); }], ['⤢', 'zoomAll', function () { box = Object.assign({}, all); show(); }]].forEach(function (t) {
    var b = document.createElement('button');
    b.type = 'button';
    b.textContent = t[0];
    b.setAttribute('aria-label', mapBox.dataset[t[1]]);
    b.addEventListener('click', t[2]);
    tools.appendChild(b);
  });
  mapBox.appendChild(tools);
  svg.addEventListener('wheel', function (event) {
    if (!event.ctrlKey && !event.metaKey && scale() >= 1 && event.deltaY > 0) return;
    var at = under(event);
    event.preventDefault();
    zoom(event.deltaY < 0 ? 0.8 : 1.25, at.x, at.y);
  }, { passive: false });
  var fingers = {}, moved = false;
  svg.addEventListener('pointerdown', function (event) { fingers[event.pointerId] = event; moved = false; });
  window.addEventListener('pointermove', function (event) {
    var before = fingers[event.pointerId], ids = Object.keys(fingers);
    if (!before || (event.pointerType === 'touch' && scale() >= 1 && ids.length < 2)) return;
    var r = svg.getBoundingClientRect();
    if (ids.length === 2) {
      var other = fingers[ids[0] === String(event.pointerId) ? ids[1] : ids[0]];
      var was = Math.hypot(before.clientX - other.clientX, before.clientY - other.clientY), is = Math.hypot(event.clientX - other.clientX, event.clientY - other.clientY), at = under(event);
      if (is > 10) zoom(was / is, at.x, at.y);
      moved = true;
    } else if (moved || Math.hypot(event.clientX - before.clientX, event.clientY - before.clientY) > 4) {
      box.x -= (event.clientX - before.clientX) / r.width * box.w;
      box.y -= (event.clientY - before.clientY) / r.height * box.h;
      moved = true;
      svg.classList.add('moving');
      keep();
      show();
    } else return;
    fingers[event.pointerId] = event;
  });
  ['pointerup', 'pointercancel'].forEach(function (name) { window.addEventListener(name, function (event) { delete fingers[event.pointerId]; svg.classList.remove('moving'); }); });
  svg.addEventListener('click', function (event) { if (moved) { event.preventDefault(); event.stopPropagation(); } }, true);
  svg.addEventListener('dragstart', function (event) { event.preventDefault(); });
  mapBox.addEventListener('keydown', function (event) {
    if (event.key === '+' || event.key === '=') zoom(0.6); else if (event.key === '-') zoom(1 / 0.6); else return;
    event.preventDefault();
  });
  function load() {
    fetch(mapBox.dataset.points, { headers: { Accept: 'application/json' } }).then(function (r) { return r.ok ? r.json() : Promise.reject(r.status); }).then(function (json) {
      data = json;
      frame = json.frame;
      draw();
    }).catch(function () { if (!data) layer.innerHTML = still.all; });
  }
  mapBox.addEventListener('renew', load);
  load();
}());

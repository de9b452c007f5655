/* Keeps style, script, font and the offline page; never a page with anybody's data. */
'use strict';
var KEPT = 'chapar-1';
self.addEventListener('install', function (event) {
  event.waitUntil(caches.open(KEPT).then(function (cache) {
    return cache.addAll(['/assets/icon.svg', '/assets/font/vazirmatn-arabic.woff2']).then(function () {
      return fetch('/offline', { credentials: 'omit' }).then(function (answer) { return answer.ok ? cache.put('/offline', answer) : null; });
    });
  }).then(function () { return self.skipWaiting(); }));
});
self.addEventListener('activate', function (event) {
  event.waitUntil(caches.keys().then(function (names) {
    return Promise.all(names.filter(function (name) { return name !== KEPT; }).map(function (name) { return caches.delete(name); }));
  }).then(function () { return self.clients.claim(); }));
});
self.addEventListener('fetch', function (event) {
  var url = new URL(event.request.url);
  if (event.request.method !== 'GET' || url.origin !== self.location.origin) return;
  if (url.pathname.indexOf('/assets/') === 0) {
    event.respondWith(caches.match(event.request).then(function (hit) {
      return hit || fetch(event.request).then(function (answer) {
        var copy = answer.clone();
        if (answer.ok) caches.open(KEPT).then(function (cache) { cache.put(event.request, copy); });
        return answer;
      });
    }));
  } else if (event.request.mode === 'navigate') {
    event.respondWith(fetch(event.request).catch(function () { return caches.match('/offline'); }));
  }
});

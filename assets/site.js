/* Comfort only: every page works without this file. */
(function () {
  'use strict';
  if ('serviceWorker' in navigator) navigator.serviceWorker.register('/sw.js').catch(function () {});
  var summary = document.getElementById('faults');
  if (summary) summary.focus();
  /* A second click sends nothing. */
  document.querySelectorAll('form[data-once]').forEach(function (form) {
    form.addEventListener('submit', function (event) {
      if (form.dataset.sent) event.preventDefault();
      form.dataset.sent = '1';
    });
  });
  window.addEventListener('pageshow', function () {
    document.querySelectorAll('form[data-once]').forEach(function (form) { delete form.dataset.sent; });
  });
  document.querySelectorAll('[data-print]').forEach(function (button) {
    button.hidden = false;
    button.addEventListener('click', function () { window.print(); });
  });
  /* Long lists are shortened while typing; Arabic and Persian letters are the same. */
  function fold(text) {
    return text.toLowerCase().replace(/[يى]/g, 'ی').replace(/ك/g, 'ک').replace(/[آأإ]/g, 'ا').replace(/[\u200c\u064b-\u0652\s]/g, '');
  }
  document.querySelectorAll('select[data-filter]').forEach(function (select) {
    var box = document.createElement('input'), all = Array.prototype.slice.call(select.options);
    box.type = 'search';
    box.className = 'w20 filterbox';
    box.placeholder = select.dataset.filter;
    box.setAttribute('aria-label', select.dataset.filter);
    select.parentNode.insertBefore(box, select);
    box.addEventListener('input', function () {
      var wanted = fold(box.value), chosen = select.value;
      select.textContent = '';
      all.forEach(function (option) { if (!option.value || fold(option.text).indexOf(wanted) >= 0) select.appendChild(option); });
      select.value = chosen;
      if (select.selectedIndex < 0) select.selectedIndex = 0;
      if (wanted && select.options.length === 2) select.selectedIndex = 1;
    });
    box.addEventListener('keydown', function (event) { if (event.key === 'Enter') { event.preventDefault(); select.focus(); } });
  });
  /* A finder whose whole list is here already is not needed. */
  document.querySelectorAll('.finder input[type=search]').forEach(function (box) {
    var select = document.querySelector('select[data-filter][name="' + box.name.replace('find.', '') + '"]');
    if (select && select.options.length > 60 && !box.value) box.form.hidden = true;
  });
  /* The desk by keyboard: j and k move between the cases, x chooses one, / goes to the search, ? tells the keys; what has data-key is
     followed, pressed or entered by its key, first what belongs to the page itself. */
  var links = Array.prototype.slice.call(document.querySelectorAll('[data-keys] tbody a')), search = document.querySelector('[data-slash]');
  var help = document.getElementById('keys'), keyed = document.querySelector('[data-key]');
  document.querySelectorAll('[data-with-keys]').forEach(function (hint) { hint.hidden = false; });
  function follow(key) {
    var found = document.querySelector('main [data-key="' + key + '"]') || document.querySelector('[data-key="' + key + '"]');
    if (!found) return false;
    if (/^(input|select|textarea)$/i.test(found.tagName)) found.focus(); else found.click();
    return true;
  }
  if (search || keyed) document.addEventListener('keydown', function (event) {
    var here = document.activeElement, at = links.indexOf(here), to = event.key === 'j' ? at + 1 : event.key === 'k' ? Math.max(at - 1, 0) : -1;
    if (event.key === 'Enter' && (event.ctrlKey || event.metaKey) && here.form && here.tagName === 'TEXTAREA') {
      here.form.requestSubmit();
      return;
    }
    if (event.ctrlKey || event.altKey || event.metaKey || (help && help.open) || (/^(input|select|textarea)$/i.test(here.tagName) && here.type !== 'checkbox')) return;
    var box = here.closest && here.closest('[data-keys] tr') ? here.closest('tr').querySelector('input[type=checkbox]') : null;
    if (event.key === '/' && search) search.focus();
    else if (links[to]) links[to].focus();
    else if (event.key === 'x' && box) box.checked = !box.checked;
    else if (event.key === '?' && help) help.showModal();
    else if (!/^[a-z1-9]$/.test(event.key) || !follow(event.key)) return;
    event.preventDefault();
  });
}());

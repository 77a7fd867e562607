// Keeps a page as fresh as the store. What mailcote says of figures and
// states goes in by textContent only. Lists are read again as the server
// draws them.
'use strict';
(() => {
  const root = document.querySelector('.brand').href;
  const spoken = document.getElementById('spoken');
  const lost = document.getElementById('lost');
  const content = document.getElementById('content');
  const group = n => String(n).replace(/\B(?=(\d{3})+$)/g, '\u202f');
  const count = (n, one, many) => n === 1 ? '1 ' + one : group(n) + ' ' + many;
  const overview = document.getElementById('headline') !== null || location.href === root;
  let heard = Date.now(), saidAt = 0, said = '', last = null;

  const put = (node, text) => {
    if (node && node.textContent !== text) node.textContent = text;
  };

  const ago = iso => {
    const minutes = Math.floor((Date.now() - Date.parse(iso)) / 60000);
    const of = (n, unit) => n + ' ' + unit + (n === 1 ? '' : 's') + ' ago';
    if (minutes < 1) return 'just now';
    if (minutes < 60) return of(minutes, 'minute');
    if (minutes < 48 * 60) return of(Math.floor(minutes / 60), 'hour');
    return of(Math.floor(minutes / 1440), 'day');
  };

  // visible mirrors the server's rule for header text, as far as a detail
  // line can carry it.
  const visible = text => text.replace(/[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g,
    c => '‹U+' + c.codePointAt(0).toString(16).toUpperCase().padStart(4, '0') + '›');

  const showMailbox = (section, m) => {
    const row = section.querySelector('[data-mailbox="' + Number(m.id) + '"]');
    if (!row) return false;
    const bar = row.querySelector('progress');
    bar.max = m.total || 1;
    bar.value = m.stored;
    put(row.querySelector('.unread'), group(m.unread));
    put(row.querySelector('.words'), m.total
      ? group(m.stored) + ' of ' + group(m.total) + ' (' + Math.floor(Math.min(m.stored, m.total) * 100 / m.total) + ' %)'
      : m.stored ? group(m.stored) : 'empty');
    put(row.querySelector('.note'), visible(m.note || ''));
    return true;
  };

  // counted shows a number before words that stay.
  const counted = (node, text) => {
    if (node && node.firstChild && node.firstChild.data !== text) node.firstChild.data = text;
  };

  const showAccount = a => {
    const section = document.querySelector('[data-account="' + Number(a.id) + '"]');
    if (!section) return false;
    section.querySelector('.state').dataset.state = a.state;
    put(section.querySelector('.word'), visible(a.words));
    put(section.querySelector('.detail'), visible(a.detail));
    if (a.lastSuccess) put(section.querySelector('.success'), ago(a.lastSuccess));
    put(section.querySelector('.errors'), a.errors ? count(a.errors, 'error', 'errors') + '; see mailcote errors' : 'none');
    const quarantined = section.querySelector('.quarantined');
    counted(quarantined, count(a.quarantined, 'message', 'messages') + '; see ');
    quarantined.parentElement.hidden = !a.quarantined;
    return a.mailboxes.map(m => showMailbox(section, m)).every(Boolean)
      && a.mailboxes.length === section.querySelectorAll('[data-mailbox]').length;
  };

  const speak = accounts => {
    const line = accounts.map(a => {
      const stored = a.mailboxes.reduce((sum, m) => sum + Math.min(m.stored, m.total), 0);
      const total = a.mailboxes.reduce((sum, m) => sum + m.total, 0);
      return a.words + ', ' + group(stored) + ' of ' + group(total) + ' messages';
    }).join('; ');
    if (line !== said && Date.now() - saidAt > 10000) {
      spoken.textContent = said = line;
      saidAt = Date.now();
    }
  };

  // show puts figures in place. An account or mailbox that the page does not
  // have, or has too many of, makes the server draw the page again.
  const show = progress => {
    put(document.getElementById('headline'), count(progress.messages, 'message', 'messages'));
    const fits = progress.accounts.map(showAccount).every(Boolean)
      && progress.accounts.length === document.querySelectorAll('[data-account]').length;
    speak(progress.accounts);
    return fits;
  };

  // draw puts what the server drew in place of what is here. Rows that are
  // the same stay the nodes they are, and the focus stays where it was.
  const draw = text => {
    const fresh = new DOMParser().parseFromString(text, 'text/html').getElementById('content');
    if (!fresh) return;
    const focused = document.activeElement && content.contains(document.activeElement) ? document.activeElement.href : '';
    const rows = new Map([...content.querySelectorAll('li')].map(li => [li.outerHTML, li]));
    for (const li of fresh.querySelectorAll('li')) {
      const same = rows.get(li.outerHTML);
      if (same) li.replaceWith(same);
    }
    content.replaceChildren(...fresh.childNodes);
    const again = focused && [...content.querySelectorAll('a')].find(a => a.href === focused);
    if (again) again.focus({preventScroll: true});
  };

  // reread reads the page again, once at a time.
  let reading = false, more = false;
  const reread = async () => {
    more = true;
    if (reading) return;
    reading = true;
    while (more) {
      more = false;
      try {
        const answer = await fetch(location.href, {cache: 'no-store'});
        if (answer.ok) draw(await answer.text());
      } catch { /* the stream says what is wrong */ }
    }
    reading = false;
    if (last) show(last);
  };

  const clock = at => String(at.getHours()).padStart(2, '0') + ':' + String(at.getMinutes()).padStart(2, '0');

  // lose shows that nothing here is current any more.
  const lose = () => {
    const then = clock(new Date(heard));
    const words = 'mailcote does not answer. This is how it was at ' + then + '.';
    put(lost, words);
    put(spoken, said = words);
    saidAt = 0;
    lost.hidden = false;
    last = null;
    for (const state of document.querySelectorAll('.state')) {
      state.dataset.state = 'past';
      put(state.querySelector('.word'), 'As of ' + then);
    }
    for (const detail of document.querySelectorAll('.detail')) put(detail, '');
  };

  const hear = message => {
    if (message.lost) return lose();
    heard = Date.now();
    lost.hidden = true;
    last = message.progress;
    if (overview ? !show(last) : last.mail) reread();
  };

  if (window.SharedWorker) {
    let port = null, retry = 0;
    const join = () => {
      clearTimeout(retry);
      const worker = new SharedWorker(new URL('static/stream.js', root));
      // Its script did not come: the agent ended while the page was read.
      worker.onerror = () => {
        lose();
        retry = setTimeout(join, 1000);
      };
      port = worker.port;
      port.onmessage = event => hear(event.data);
      port.postMessage(document.hidden ? 'hidden' : 'seen');
    };
    join();
    document.addEventListener('visibilitychange', () => port.postMessage(document.hidden ? 'hidden' : 'seen'));
    addEventListener('pagehide', () => port.postMessage('bye'));
    addEventListener('pageshow', event => { if (event.persisted) join(); });
    return;
  }
  const stream = listen(new URL('events', root), hear);
  const settle = () => document.hidden ? stream.close() : stream.open();
  document.addEventListener('visibilitychange', settle);
  settle();
})();

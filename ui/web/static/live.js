// Keeps the overview's numbers fresh. It asks once a second while something
// moves, every five seconds otherwise, and not at all in a hidden tab. Text
// goes in by textContent only.
'use strict';
(() => {
  const words = {idle: 'Up to date', syncing: 'Syncing', waiting: 'Waiting', paused: 'Paused', failed: 'Failed'};
  const spoken = document.getElementById('spoken');
  const lost = document.getElementById('lost');
  const figures = new URL('progress.json', document.querySelector('.brand').href);
  const group = n => String(n).replace(/\B(?=(\d{3})+$)/g, '\u202f');
  let timer = 0, saidAt = 0, said = '';

  const put = (root, selector, text) => {
    const node = root.querySelector(selector);
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
    put(row, '.unread', group(m.unread));
    put(row, '.words', m.total
      ? group(m.stored) + ' of ' + group(m.total) + ' (' + Math.floor(Math.min(m.stored, m.total) * 100 / m.total) + ' %)'
      : m.stored ? group(m.stored) : 'empty');
    return true;
  };

  const show = progress => {
    let moving = false, complete = true;
    const lines = [];
    for (const a of progress.accounts || []) {
      const section = document.querySelector('[data-account="' + Number(a.id) + '"]');
      if (!section) { complete = false; continue; }
      section.querySelector('.state').dataset.state = a.state;
      put(section, '.word', words[a.state] || 'Unknown');
      put(section, '.detail', visible(a.detail || ''));
      if (a.lastSuccess) put(section, '.success', ago(a.lastSuccess));
      put(section, '.errors', a.errors ? group(a.errors) + (a.errors === 1 ? ' error' : ' errors') + '; see mailcote errors' : 'none');
      let stored = 0, total = 0;
      for (const m of a.mailboxes || []) {
        complete = showMailbox(section, m) && complete;
        stored += Math.min(m.stored, m.total);
        total += m.total;
      }
      moving = moving || a.state === 'syncing';
      lines.push((words[a.state] || 'Unknown') + ', ' + group(stored) + ' of ' + group(total) + ' messages');
    }
    const line = lines.join('; ');
    if (line !== said && Date.now() - saidAt > 10000) {
      spoken.textContent = said = line;
      saidAt = Date.now();
    }
    // A new account or mailbox: let the server draw the page again.
    if (!complete && Date.now() - performance.timeOrigin > 5000) location.reload();
    return moving;
  };

  const tick = async () => {
    clearTimeout(timer);
    if (document.hidden) return;
    let wait = 5000;
    try {
      const answer = await fetch(figures, {cache: 'no-store'});
      if (!answer.ok) throw new Error(answer.status);
      if (show(await answer.json())) wait = 1000;
      lost.hidden = true;
    } catch {
      lost.hidden = false;
    }
    timer = setTimeout(tick, wait);
  };
  document.addEventListener('visibilitychange', tick);
  tick();
})();

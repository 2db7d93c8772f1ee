// Keeps the desk live and quick to use. Every page works without it; nothing here decides anything.
(() => {
  'use strict';

  const $ = (selector, within = document) => within.querySelector(selector);
  const $$ = (selector, within = document) => [...within.querySelectorAll(selector)];
  const body = document.body;
  const talk = $('[data-conversation]');
  const base = talk ? `/desk/conversations/${talk.dataset.conversation}` : null;

  // --- times: the server writes UTC, a page shows the zone of whoever looks at it ----------------------------------------

  const date = { day: 'numeric', month: 'short' };
  const clock = { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' };
  const zone = { timeZoneName: 'short' };
  const formats = {
    moment: new Intl.DateTimeFormat('en-GB', { ...date, year: 'numeric', ...clock, ...zone }),
    short: new Intl.DateTimeFormat('en-GB', { ...date, ...clock }),
    day: new Intl.DateTimeFormat('en-GB', { ...date, year: 'numeric' }),
  };
  const localise = (within) => {
    for (const time of within.querySelectorAll('time[data-time]')) {
      const at = new Date(time.dateTime);
      time.title = formats.moment.format(at);
      if (time.dataset.time in formats) time.textContent = formats[time.dataset.time].format(at);
    }
    for (const due of within.querySelectorAll('[data-due]')) {
      due.title = `${due.title.split(' is due ')[0]} is due ${formats.moment.format(new Date(due.dataset.due))}`;
    }
    return within;
  };

  // --- settings, kept in this browser ------------------------------------------------------------------------------

  const settings = { sound: true, notify: false, keys: true };
  try {
    Object.assign(settings, JSON.parse(localStorage.getItem('desk') ?? '{}'));
  } catch {
    /* a browser that keeps nothing uses the defaults */
  }

  const setUpSettings = () => {
    for (const box of $$('[data-setting]')) {
      const name = box.dataset.setting;
      box.checked = settings[name];
      box.addEventListener('change', async () => {
        settings[name] = box.checked;
        if (name === 'notify' && box.checked && 'Notification' in window) {
          settings.notify = box.checked = (await Notification.requestPermission()) === 'granted';
        }
        try {
          localStorage.setItem('desk', JSON.stringify(settings));
        } catch {
          /* as above */
        }
      });
    }
  };

  // A browser keeps six connections to a server over HTTP/1.1, and a live page holds one. So a page that is not seen lets
  // go of its stream, but for one, which rings for all.
  let speaks = !navigator.locks;
  navigator.locks?.request('desk', () => {
    speaks = true;
    follow();
    return new Promise(() => {}); // until the page is closed
  });

  let audio = null;
  const ring = () => {
    if (!settings.sound) return;
    try {
      audio ??= new AudioContext();
      for (const [delay, pitch] of [[0, 660], [0.14, 880]]) {
        const tone = audio.createOscillator();
        const volume = audio.createGain();
        const at = audio.currentTime + delay;
        tone.frequency.value = pitch;
        volume.gain.setValueAtTime(0.0001, at);
        volume.gain.exponentialRampToValueAtTime(0.08, at + 0.02);
        volume.gain.exponentialRampToValueAtTime(0.0001, at + 0.22);
        tone.connect(volume).connect(audio.destination);
        tone.start(at);
        tone.stop(at + 0.25);
      }
    } catch {
      /* no sound to be had */
    }
  };

  const alertTo = (title, path) => {
    if (!speaks) return;
    ring();
    if (!settings.notify || !('Notification' in window) || Notification.permission !== 'granted') return;
    if (!document.hidden) return;
    const shown = new Notification(title, { tag: path });
    shown.onclick = () => {
      window.focus();
      location.assign(path);
    };
  };

  // --- what the server says of forms ---------------------------------------------------------------------------------

  const notice = (sentence, kind) => {
    const place = $('[data-notices]');
    if (!place) return;
    place.replaceChildren();
    if (!sentence) return;
    const line = document.createElement('p');
    line.className = `banner banner-${kind}`;
    line.setAttribute('role', kind === 'problem' ? 'alert' : 'status');
    line.textContent = sentence;
    place.append(line);
    clearTimeout(notice.timer);
    if (kind === 'done') notice.timer = setTimeout(() => line.remove(), 4000);
  };

  const post = async (path, data) => {
    const response = await fetch(path, { method: 'POST', body: data, headers: { 'X-Desk-Script': '1' } });
    let answer = {};
    try {
      answer = await response.json();
    } catch {
      /* not ours: a proxy's page */
    }
    return { ok: response.ok, status: response.status, ...answer };
  };

  const renewKeys = (key) => {
    // Each form needs a key of its own that is not used yet: one for all, since a key counts with what is sent.
    for (const field of $$('form[data-act] input[name="key"]')) field.value = key;
  };

  const act = async (form, submitter) => {
    if (form.dataset.busy) return;
    const data = new FormData(form, submitter);
    const writes = form.dataset.write;
    form.dataset.busy = 'yes';
    if (submitter) submitter.setAttribute('aria-disabled', 'true');
    try {
      const sent = form.enctype === 'multipart/form-data' ? data : new URLSearchParams(data);
      const answer = await post(submitter?.getAttribute('formaction') ?? form.getAttribute('action'), sent);
      if (answer.gone) {
        location.reload();
        return;
      }
      if (!answer.ok) {
        notice(answer.problem ?? 'That did not work, and nothing was changed. Please try again.', 'problem');
        if (answer.status === 409) refresh();
        return;
      }
      renewKeys(answer.key);
      notice(answer.said, 'done');
      form.closest('details[open]')?.removeAttribute('open');
      if (writes) {
        form.reset();
        forget(writes);
        chosen(form);
        $('textarea', form)?.focus();
      } else {
        form.reset();
        refresh();
      }
    } catch {
      // The same key goes with the next try, so that what did arrive is not done again.
      notice('There is no connection just now. Nothing you wrote is lost: try again in a moment.', 'problem');
    } finally {
      delete form.dataset.busy;
      submitter?.removeAttribute('aria-disabled');
    }
  };

  // --- drafts: what is being written outlives a reload and a restart ----------------------------------------------------

  const draftName = (mode) => `desk:draft:${talk.dataset.conversation}:${mode}`;
  const forget = (mode) => sessionStorage.removeItem(draftName(mode));
  const restoreDrafts = () => {
    for (const form of $$('form[data-write]')) {
      const box = $('textarea', form);
      const kept = sessionStorage.getItem(draftName(form.dataset.write));
      if (kept && !box.value) box.value = kept;
    }
  };

  // --- the page around the messages is fetched again when something of it has changed -------------------------------------

  let refreshing = false;
  let again = false;
  const refresh = async () => {
    if (refreshing) {
      again = true;
      return;
    }
    refreshing = true;
    try {
      const response = await fetch(location.href, { headers: { Accept: 'text/html' } });
      if (response.status === 401) {
        location.reload();
        return;
      }
      const page = localise(new DOMParser().parseFromString(await response.text(), 'text/html'));
      if (page.querySelector('input[name="password"]')) {
        location.reload();
        return;
      }
      for (const part of $$('[data-part]')) {
        const fresh = page.querySelector(`[data-part="${part.dataset.part}"]`);
        if (!fresh) continue;
        if (part.contains(document.activeElement) && part.dataset.part === 'head' && $('details[open]', part)) continue;
        if (part.dataset.part === 'composer' && part.dataset.keep === fresh.dataset.keep) continue;
        const texts = $$('textarea', part).map((box) => [box.id, box.value]);
        const focused = document.activeElement?.id;
        const at = part.scrollTop;
        part.replaceWith(fresh);
        for (const [id, value] of texts) {
          const box = document.getElementById(id);
          if (box && value) box.value = value;
        }
        if (focused) document.getElementById(focused)?.focus();
        fresh.scrollTop = at;
      }
      const shown = page.querySelector('[data-conversation]');
      if (talk && shown) talk.dataset.mine = shown.dataset.mine;
      setUpTalk();
    } catch {
      /* the stream says when the server is back */
    } finally {
      refreshing = false;
      if (again) {
        again = false;
        refresh();
      }
    }
  };

  // --- live ----------------------------------------------------------------------------------------------------------

  const known = new Map();
  let waitingKnown = null;
  const learn = (within) => {
    const waiting = new Map($$('[data-waiting]', within).map((row) => [row.dataset.waiting, row.dataset.name]));
    if (waitingKnown !== null && $('[data-list="queue"]', within)) {
      for (const [id, name] of waiting) {
        if (!waitingKnown.has(id)) alertTo(`${name} is waiting`, `/desk/conversations/${id}`);
      }
    }
    if ($('[data-list="queue"]', within)) waitingKnown = waiting;
    const rail = $('[data-list="rail"]', within);
    if (rail && !waiting.size) {
      const count = Number(rail.dataset.count);
      if (learn.count !== undefined && count > learn.count && waitingKnown === null) alertTo('Somebody is waiting', '/desk');
      learn.count = count;
    }
    for (const chat of $$('[data-chat]', within)) {
      const unread = Number(chat.dataset.unread);
      const before = known.get(chat.dataset.chat);
      const looking = talk?.dataset.conversation === chat.dataset.chat && !document.hidden;
      if (before !== undefined && unread > before && !looking) {
        alertTo(`${chat.dataset.name} wrote`, `/desk/conversations/${chat.dataset.chat}`);
      }
      if (before === undefined && learn.ready) alertTo(`${chat.dataset.name} is yours now`, `/desk/conversations/${chat.dataset.chat}`);
      known.set(chat.dataset.chat, unread);
    }
    learn.ready = true;
    const unread = rail ? Number(rail.dataset.unread) : 0;
    document.title = document.title.replace(/^(\(\d+\) )?/, unread ? `(${unread}) ` : '');
  };

  // The lists are made once for all pages of a browser: this page marks itself in them, and shows its chat's clock.
  const replaceLists = (html) => {
    const fresh = localise(new DOMParser().parseFromString(html, 'text/html'));
    const here = talk && $(`[data-chat="${CSS.escape(talk.dataset.conversation)}"]`, fresh);
    here?.setAttribute('aria-current', 'page');
    const clock = here && $('.clock[title]', here);
    if (clock) $('[data-clock]')?.replaceChildren(clock.cloneNode(true));
    for (const list of $$('[data-list]', fresh)) {
      const shown = $(`[data-list="${list.dataset.list}"]`);
      if (!shown || shown.innerHTML.trim() === list.innerHTML.trim()) continue;
      const focused = shown.contains(document.activeElement) ? document.activeElement.getAttribute('href') : null;
      shown.replaceChildren(...list.childNodes);
      for (const [name, value] of Object.entries(list.dataset)) shown.dataset[name] = value;
      if (focused) $(`[href="${CSS.escape(focused)}"]`, shown)?.focus();
    }
    learn(document);
  };

  const scroller = () => $('[data-scroller]');
  const atEnd = () => {
    const box = scroller();
    return !box || box.scrollHeight - box.scrollTop - box.clientHeight < 120;
  };
  const toEnd = () => {
    const box = scroller();
    if (box) box.scrollTop = box.scrollHeight;
  };

  const addEntry = ({ id, author, html }) => {
    const log = $('[data-log]');
    if (!log) return;
    const follow = atEnd();
    const fresh = $('[data-entry]', localise(new DOMParser().parseFromString(html, 'text/html')).body);
    const shown = $(`[data-entry="${CSS.escape(id)}"]`, log);
    if (shown) {
      // The customer has edited or deleted what is shown already.
      if (shown.textContent !== fresh.textContent) shown.replaceWith(fresh);
      return;
    }
    log.append(fresh);
    if (author === 'customer') setTyping(null);
    if (follow || author === 'agent') toEnd();
    sayRead();
  };

  const words = { sent: 'Sent', delivered: 'Delivered', read: 'Read', failed: 'Not delivered' };
  const showMarks = ({ delivered, read, failed }) => {
    for (const entry of $$('[data-seq]')) {
      const mark = $('[data-mark]', entry);
      if (!mark) continue;
      const seq = Number(entry.dataset.seq);
      const state = failed.includes(seq) ? 'failed' : seq <= read ? 'read' : seq <= delivered ? 'delivered' : 'sent';
      if (mark.dataset.mark !== state) {
        mark.dataset.mark = state;
        mark.textContent = words[state];
      }
    }
  };

  let typingTimer = 0;
  const setTyping = (who) => {
    const line = $('[data-typing]');
    if (!line) return;
    clearTimeout(typingTimer);
    const follow = atEnd();
    line.hidden = !who;
    line.textContent = who === 'customer' ? `${$('h1').textContent} is writing` : who ? 'The bot is answering' : '';
    if (who) typingTimer = setTimeout(() => setTyping(null), 6000);
    if (follow) toEnd();
  };

  let readUpTo = 0;
  const sayRead = () => {
    if (!talk?.dataset.mine || document.hidden || !document.hasFocus()) return;
    const last = Math.max(0, ...$$('[data-log] .bubble-customer').map((entry) => Number(entry.dataset.seq)));
    if (last <= readUpTo) return;
    readUpTo = last;
    post(`${base}/read`, new URLSearchParams({ csrf: body.dataset.csrf, seq: String(last) })).catch(() => {
      readUpTo = 0;
    });
  };

  const state = (text, kind) => {
    const line = $('[data-link-state]');
    if (!line) return;
    line.textContent = text;
    line.dataset.linkState = kind;
  };

  let source = null;
  const follow = () => {
    if (!body.dataset.events) return;
    if (!document.hidden || speaks) {
      if (!source) listen();
    } else if (source) {
      source.close();
      source = null;
      state('Paused', 'paused');
    }
  };
  const listen = () => {
    const address = new URL(body.dataset.events, location.href);
    const last = Math.max(0, ...$$('[data-seq]').map((entry) => Number(entry.dataset.seq)));
    if (talk) address.searchParams.set('after', String(last));
    source = new EventSource(address);
    source.addEventListener('open', () => state('Live', 'live'));
    source.addEventListener('lists', (event) => replaceLists(event.data));
    source.addEventListener('entry', (event) => addEntry(JSON.parse(event.data)));
    source.addEventListener('marks', (event) => showMarks(JSON.parse(event.data)));
    source.addEventListener('typing', (event) => setTyping(event.data));
    source.addEventListener('refresh', () => (talk ? refresh() : stale()));
    source.addEventListener('gone', () => {
      source.close();
      location.reload();
    });
    source.addEventListener('error', () => {
      state('Reconnecting', 'lost');
      if (source?.readyState !== EventSource.CLOSED) return;
      source = null;
      setTimeout(follow, 2000);
    });
  };

  // An approval that a colleague has decided meanwhile: say so where the buttons were, keep what was written.
  const stale = () => {
    const place = $('[data-stale]');
    if (place) refresh().then(() => notice('This has been decided meanwhile. This is how it stands now.', 'problem'));
  };

  // --- writing -------------------------------------------------------------------------------------------------------

  const setMode = (mode, focus = true) => {
    for (const form of $$('form[data-write]')) form.hidden = form.dataset.write !== mode;
    for (const button of $$('[data-mode]')) button.setAttribute('aria-pressed', String(button.dataset.mode === mode));
    if (focus) $(`form[data-write="${mode}"] textarea`)?.focus();
  };

  const chosen = (form) => {
    const line = $('[data-chosen]', form);
    const files = $('[data-files]', form);
    if (line && files) line.textContent = [...files.files].map(({ name }) => name).join(', ');
  };

  const openCanned = () => {
    const menu = $('[data-canned]');
    if (!menu) return false;
    menu.open = true;
    const filter = $('[data-filter]', menu);
    filter.value = '';
    filterCanned(filter);
    filter.focus();
    return true;
  };

  const filterCanned = (filter) => {
    const wanted = filter.value.toLowerCase();
    for (const pick of $$('[data-find]')) pick.parentElement.hidden = !pick.dataset.find.includes(wanted);
  };

  const insert = (pick) => {
    const box = $('#reply');
    pick.closest('details').open = false;
    if (pick.dataset.missing) {
      notice(pick.dataset.missing, 'problem');
      box.focus();
      return;
    }
    box.value = box.value.replace(/\/$/, '');
    box.setRangeText(pick.dataset.insert, box.selectionStart, box.selectionEnd, 'end');
    box.dispatchEvent(new Event('input', { bubbles: true }));
    box.focus();
  };

  let typedAt = 0;
  const sayTyping = (form) => {
    if (form.dataset.write !== 'reply' || Date.now() - typedAt < 2500) return;
    typedAt = Date.now();
    post(`${base}/typing`, new URLSearchParams({ csrf: body.dataset.csrf })).catch(() => {});
  };

  const setUpTalk = () => {
    if (!talk) return;
    const mode = $('[data-mode][aria-pressed="true"]')?.dataset.mode ?? 'note';
    setMode($(`form[data-write="${mode}"]`) ? mode : 'note', false);
    restoreDrafts();
    sayRead();
  };

  // --- keys ----------------------------------------------------------------------------------------------------------

  const inField = (element) => element.closest('input, textarea, select, [contenteditable]') !== null;

  const pressKey = (key) => {
    const target = $(`[data-key="${CSS.escape(key)}"]`);
    if (!target || target.offsetParent === null) return false;
    if (key === '/') return openCanned();
    if (target.tagName === 'SUMMARY') {
      const menu = target.parentElement;
      for (const other of $$('details[data-menu][open]')) if (other !== menu) other.open = false;
      menu.open = !menu.open;
      if (menu.open) $('select, textarea, input:not([type="hidden"]), button', $('.menu-box', menu))?.focus();
      else target.focus();
    } else target.click();
    return true;
  };

  const chats = () => $$('[data-chat]');
  const step = (by) => {
    const all = chats();
    if (!all.length) return;
    const here = all.findIndex((chat) => chat.getAttribute('aria-current') === 'page');
    location.assign(all[(here + by + all.length) % all.length].href);
  };

  const showHelp = () => {
    const help = $('#help');
    if (!help) return;
    const fixed = [
      ['?', 'Show this help'],
      ['g', 'Go to the queue'],
      ['j', 'Next of my chats'],
      ['k', 'Previous of my chats'],
      ['Alt 1 to 9', 'Open that chat of mine'],
      ['Ctrl Enter', 'Send what is written'],
      ['/', 'Canned replies, in an empty reply'],
      ['Esc', 'Close, or leave the text field'],
    ];
    const here = $$('[data-key][data-help]').filter(({ dataset }) => dataset.key !== '/');
    const rows = [...here.map(({ dataset }) => [dataset.key, dataset.help]), ...fixed];
    $('[data-keys]', help).replaceChildren(
      ...rows.map(([key, what]) => {
        const row = document.createElement('div');
        const term = document.createElement('dt');
        const mark = document.createElement('kbd');
        const meaning = document.createElement('dd');
        mark.textContent = key;
        meaning.textContent = what;
        term.append(mark);
        row.append(term, meaning);
        return row;
      }),
    );
    help.showModal();
  };

  document.addEventListener('keydown', (event) => {
    const { key, target } = event;
    if (event.isComposing) return;
    if (event.altKey && !event.ctrlKey && !event.metaKey && /^Digit[1-9]$/.test(event.code)) {
      const chat = chats()[Number(event.code.slice(5)) - 1];
      if (chat) {
        event.preventDefault();
        location.assign(chat.href);
      }
      return;
    }
    if ((event.ctrlKey || event.metaKey) && key === 'Enter' && target.form) {
      event.preventDefault();
      target.form.requestSubmit();
      return;
    }
    const menu = target.closest?.('details[data-menu][open]');
    if (key === 'Escape') {
      if (menu) {
        menu.open = false;
        if (menu.matches('[data-canned]')) $('#reply')?.focus();
        else $('summary', menu).focus();
      } else if (inField(target)) target.blur();
      return;
    }
    if (menu && (key === 'ArrowDown' || key === 'ArrowUp')) {
      const picks = $$('.pick', menu).filter((pick) => !pick.parentElement.hidden);
      const next = picks[Math.max(0, picks.indexOf(document.activeElement) + (key === 'ArrowDown' ? 1 : -1))];
      if (next) {
        event.preventDefault();
        next.focus();
      }
      return;
    }
    if (key === 'Enter' && target.matches?.('[data-filter]')) {
      event.preventDefault();
      const first = $$('[data-find]').find((pick) => !pick.parentElement.hidden);
      if (first) insert(first);
      return;
    }
    if (key === '/' && target.id === 'reply' && target.value === '') {
      event.preventDefault();
      openCanned();
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey || inField(target) || $('dialog[open]')) return;
    if (!settings.keys) return;
    if (key === '?') showHelp();
    else if (key === 'g') location.assign('/desk');
    else if (key === 'j') step(1);
    else if (key === 'k') step(-1);
    else if (!pressKey(key)) return;
    event.preventDefault();
  });

  // --- wiring --------------------------------------------------------------------------------------------------------

  document.addEventListener('submit', (event) => {
    const form = event.target;
    if (!form.matches('form[data-act]')) return;
    event.preventDefault();
    act(form, event.submitter);
  });
  document.addEventListener('click', (event) => {
    const mode = event.target.closest('[data-mode]');
    if (mode) setMode(mode.dataset.mode);
    const pick = event.target.closest('[data-insert]');
    if (pick) insert(pick);
    if (event.target.closest('[data-help-open]')) showHelp();
    for (const menu of $$('details.menu[open]')) if (!menu.contains(event.target)) menu.open = false;
  });
  document.addEventListener('input', (event) => {
    if (event.target.matches('[data-filter]')) filterCanned(event.target);
    const form = event.target.closest('form[data-write]');
    if (!form || event.target.tagName !== 'TEXTAREA') return;
    try {
      sessionStorage.setItem(draftName(form.dataset.write), event.target.value);
    } catch {
      /* too long to be kept; it is still in the field */
    }
    sayTyping(form);
  });
  document.addEventListener('change', (event) => {
    if (event.target.matches('[data-files]')) chosen(event.target.form);
  });
  document.addEventListener('visibilitychange', follow);
  document.addEventListener('visibilitychange', sayRead);
  window.addEventListener('focus', sayRead);

  localise(document);
  const zoneShown = $('[data-zone]');
  if (zoneShown) zoneShown.textContent = `Times are in ${formats.moment.resolvedOptions().timeZone.replace('_', ' ')}.`;
  setUpSettings();
  setUpTalk();
  toEnd();
  if (body.dataset.events) {
    learn(document);
    listen();
  }
})();

/*
 * The help-center chat widget: one file, no dependencies, no build step.
 *
 *   <script src="https://support.example/widget.js" data-brand="joltsms" async></script>
 *
 * Parts, in order: helpers, the API client, the event stream, Chat (state, no DOM), the style sheet, the view
 * (<support-bot>), and window.SupportBot. Text from people or the server only ever becomes text nodes.
 */
(() => {
  'use strict';

  if (window.SupportBot?.boot) return;

  const SCRIPT = document.currentScript ?? document.querySelector('script[data-brand][src*="widget.js"]');
  const ORIGIN = new URL(SCRIPT?.src || location.href, location.href).origin;
  const BASE = `${ORIGIN}/api/widget/v1`;
  const TEXT_LIMIT = 4000;
  const COUNTER_FROM = 3600;
  const REQUEST_TIMEOUT = 30_000;
  const STREAM_SILENCE = 50_000; // the server pings more often than this; longer silence means a dead connection
  const HIDDEN_PAUSE = 60_000; // a browser allows six HTTP/1.1 connections per host: hidden tabs give theirs back
  const PROOF_AGE = 20 * 60_000; // sensitive actions need a recent proof of identity: renew it before it gets old
  const IDENTITY_WAIT = 2_000; // the last page knew the customer: give this one a moment to say who it is
  const AUTOMATIC_TRIES = 8;

  // --------------------------------------------------------------------------- helpers

  const sleepers = new Set();

  /** Wait, unless wake() says that waiting has become pointless (back online, tab visible, "Retry" pressed). */
  const sleep = (ms) =>
    new Promise((resolve) => {
      const done = () => {
        clearTimeout(timer);
        sleepers.delete(done);
        resolve();
      };
      const timer = setTimeout(done, ms);
      sleepers.add(done);
    });
  const wake = () => [...sleepers].forEach((done) => done());

  /** Exponential, capped at 30 s, with jitter so that a restarted server is not met by everybody at once. */
  const backoff = (tries, atLeast = 0) =>
    Math.max(atLeast, Math.min(30_000, 1000 * 2 ** Math.max(0, tries - 1)) * (0.5 + Math.random() / 2));

  const uuid = () => {
    if (crypto.randomUUID) return crypto.randomUUID(); // missing on plain http
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    const hex = [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');
    return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
  };

  /** JSON in web storage; in memory where the browser refuses storage. */
  const memory = new Map();
  const storage = (kind) => ({
    get(key) {
      try {
        return JSON.parse(window[kind].getItem(key)) ?? null;
      } catch {
        return memory.get(key) ?? null;
      }
    },
    set(key, value) {
      memory.set(key, value);
      try {
        if (value === null) window[kind].removeItem(key);
        else window[kind].setItem(key, JSON.stringify(value));
      } catch {
        /* private mode or a full disk: the copy in memory serves this page */
      }
    },
  });
  const parsed = (json) => {
    try {
      return JSON.parse(json);
    } catch {
      return null;
    }
  };
  const lasting = storage('localStorage');
  const perTab = storage('sessionStorage');

  /** The `sub` of a JWT, only to tell customers apart on this device; the server is who verifies it. */
  const subjectOf = (jwt) => {
    try {
      const payload = atob(jwt.split('.')[1].replace(/-/g, '+').replace(/_/g, '/'));
      return String(JSON.parse(payload).sub);
    } catch {
      return jwt;
    }
  };

  const plural = (count, one, many) => `${count.toLocaleString('en')} ${count === 1 ? one : many}`;
  const listed = (words) => (words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`);

  const fileSize = (bytes) => {
    if (bytes < 1024) return plural(bytes, 'byte', 'bytes');
    const units = ['KB', 'MB', 'GB'];
    let value = bytes / 1024;
    let unit = 0;
    while (value >= 1024 && unit < 2) {
      value /= 1024;
      unit += 1;
    }
    return `${value < 10 ? +value.toFixed(1) : Math.round(value)} ${units[unit]}`;
  };

  const TYPE_NAMES = {
    'text/plain': 'text',
    'text/html': 'web page',
    'text/csv': 'CSV',
    'application/json': 'JSON',
    'image/svg+xml': 'SVG',
  };
  const typeName = (type) => {
    if (type.endsWith('/*')) return type.slice(0, -2);
    return TYPE_NAMES[type] ?? (type.split('/')[1] ?? 'file').replace(/^x-/, '').toUpperCase();
  };

  // --------------------------------------------------------------------------- API client

  /** What went wrong, in the words of RFC 9457; `status` 0 is a failed connection. */
  class Problem extends Error {
    constructor({ type = 'about:blank', title = '', detail = '', status = 0, retryAfter = 0 }) {
      super(detail || title);
      Object.assign(this, { type, title, detail: detail || title, status, retryAfter });
    }

    /** Worth trying again, unchanged. */
    get passing() {
      return this.status === 0 || this.status === 408 || this.status === 429 || this.status >= 500;
    }
  }

  const problemOf = async (response) => {
    const body = await response.json().catch(() => ({}));
    return new Problem({
      type: body.type,
      title: body.title,
      detail:
        body.detail ||
        body.title ||
        (response.status >= 500
          ? 'Something went wrong on our side.'
          : `The server did not accept this (${response.status}).`),
      status: response.status,
      retryAfter: (Number(response.headers.get('Retry-After')) || 0) * 1000,
    });
  };

  const request = async (path, { method = 'GET', token, headers = {}, signal, body } = {}) => {
    try {
      return await fetch(BASE + path, {
        method,
        body,
        signal,
        headers: { ...headers, ...(token && { Authorization: `Bearer ${token}` }) },
        cache: 'no-store',
        credentials: 'omit',
      });
    } catch {
      throw new Problem({ title: 'No connection', detail: 'We could not reach the server.' });
    }
  };

  const call = async (path, { json, form, ...options } = {}) => {
    const limit = new AbortController();
    const timer = setTimeout(() => limit.abort(), form ? 5 * REQUEST_TIMEOUT : REQUEST_TIMEOUT);
    try {
      const sending = json !== undefined || form !== undefined;
      const response = await request(path, {
        ...options,
        method: sending ? 'POST' : 'GET',
        body: form ?? (json && JSON.stringify(json)),
        headers: { Accept: 'application/json', ...(json && { 'Content-Type': 'application/json' }) },
        signal: limit.signal,
      });
      if (!response.ok) throw await problemOf(response);
      return response.status === 204 ? null : await response.json();
    } catch (error) {
      throw error instanceof Problem ? error : new Problem({ detail: 'We could not reach the server.' });
    } finally {
      clearTimeout(timer);
    }
  };

  // --------------------------------------------------------------------------- event stream

  /** Feed it decoded chunks; calls back with {event, data, id} as the event-stream format defines them. */
  const eventParser = (onEvent) => {
    let buffer = '';
    let fields = { event: '', data: [], id: '' };
    const line = (text) => {
      if (text === '') {
        if (fields.data.length) onEvent({ ...fields, event: fields.event || 'message', data: fields.data.join('\n') });
        fields = { event: '', data: [], id: '' };
        return;
      }
      const colon = text.indexOf(':');
      const name = colon < 0 ? text : text.slice(0, colon);
      const value = colon < 0 ? '' : text.slice(colon + 1).replace(/^ /, '');
      if (name === 'data') fields.data.push(value);
      else if (name === 'event' || name === 'id') fields[name] = value;
    };
    return (chunk) => {
      buffer += chunk;
      for (;;) {
        const end = /\r\n|\n|\r/.exec(buffer);
        if (!end || (end[0] === '\r' && end.index === buffer.length - 1)) return; // that \r may be half of \r\n
        const text = buffer.slice(0, end.index);
        buffer = buffer.slice(end.index + end[0].length);
        line(text);
      }
    };
  };

  /** Read one connection of the stream until it ends; by fetch, because EventSource would put the token in the URL. */
  const readStream = async ({ token, after, signal, onOpen, onEvent }) => {
    const silence = new AbortController();
    const stop = () => silence.abort();
    signal.addEventListener('abort', stop);
    let timer = setTimeout(stop, STREAM_SILENCE);
    try {
      const response = await request('/stream', {
        token,
        headers: { Accept: 'text/event-stream', 'Last-Event-ID': String(after) },
        signal: silence.signal,
      });
      if (!response.ok) throw await problemOf(response);
      onOpen();
      const feed = eventParser(onEvent);
      const decoder = new TextDecoder();
      const reader = response.body.getReader();
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return;
        clearTimeout(timer);
        timer = setTimeout(stop, STREAM_SILENCE);
        feed(decoder.decode(value, { stream: true }));
      }
    } catch (error) {
      throw error instanceof Problem ? error : new Problem({ detail: 'The connection was lost.' });
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', stop);
    }
  };

  // --------------------------------------------------------------------------- Chat: state without DOM

  /**
   * One visitor's conversation with one brand. `epoch` counts changes of session: whatever an earlier epoch still
   * has on its way is thrown away when it arrives, so one customer's data cannot turn up in another's panel.
   *
   * On this device a brand has at most two stored sessions: `anon`, and `user` (with the `sub` of its JWT), which is
   * only ever used again when the host page proves the same `sub`.
   */
  class Chat {
    constructor({ brand, identity = null, emit }) {
      Object.assign(this, { brand, identity, emit });
      this.key = `supportbot:${brand}`;
      this.info = null;
      this.view = null;
      this.epoch = 0;
      this.session = null;
      this.slot = 'anon';
      this.subject = null;
      this.provedAt = 0;
      this.renewedAt = 0;
      this.pending = [];
      this.read = 0;
      this.unread = 0;
      this.lost = false;
      this.streaming = new AbortController();
      this.reset();
      this.born = Date.now();
      this.life = new AbortController();
      const until = { signal: this.life.signal };
      window.addEventListener('online', () => this.hurry(), until);
      window.addEventListener('offline', () => this.setLost(true), until);
      window.addEventListener('storage', (event) => this.writtenElsewhere(event), until);
      document.addEventListener('visibilitychange', () => this.visibility(), until);
    }

    reset() {
      this.token = null;
      this.conversation = null;
      this.customer = null;
      this.messages = new Map();
      this.cursor = 0;
      this.owner = 'bot';
      this.people = {};
      this.typing = null;
      this.notices = [];
    }

    // -- this device's record

    record() {
      return lasting.get(this.key) ?? {};
    }

    stored() {
      const slot = this.record()[this.slot];
      return slot && (this.slot === 'anon' || slot.sub === this.subject) ? slot : {};
    }

    remember(change) {
      const record = this.record();
      const slot =
        this.slot === 'user' && record.user?.sub !== this.subject ? { sub: this.subject } : record[this.slot];
      record[this.slot] = { ...slot, ...change };
      lasting.set(this.key, record);
    }

    saveQueue() {
      this.remember({
        queue: this.pending.map(({ state, tries, ...item }) => (state === 'rejected' ? { ...item, state } : item)),
      });
    }

    /** Take the stored session of this customer; an anonymous conversation goes along with the one who signs in. */
    choose(subject) {
      const record = this.record();
      this.subject = subject;
      this.slot = subject === null ? 'anon' : 'user';
      if (this.slot === 'user' && record.user?.sub !== subject) {
        record.user = { sub: subject, ...record.anon };
        lasting.set(this.key, record);
      }
      const { token = null, queue = [], read = 0 } = this.stored();
      const known = new Map(this.pending.map((item) => [item.client_id, item]));
      this.pending = queue.map((item) => known.get(item.client_id) ?? { state: 'sending', tries: 0, ...item });
      this.read = read;
      return token;
    }

    // -- session

    /** Fetch what the panel needs to be drawn; a session is opened when somebody has something to say or to read. */
    async load() {
      for (let tries = 1; ; tries += 1) {
        try {
          this.info = await call(`/brands/${encodeURIComponent(this.brand)}`);
          return;
        } catch (problem) {
          if (!problem.passing || this.life.signal.aborted) throw problem;
          await sleep(backoff(tries));
        }
      }
    }

    hasStoredSession() {
      const { user, anon } = this.record();
      return [this.identity ? user : null, anon].some((slot) => slot?.token || slot?.queue?.length);
    }

    /** True if the last page knew who this was, and this page has not said yet. */
    expectsIdentity() {
      return this.identity === null && Boolean(this.record().user?.token);
    }

    async ensure() {
      for (;;) {
        const session = (this.session ??= this.start());
        try {
          await session;
        } catch (problem) {
          if (session !== this.session) continue;
          this.session = null;
          throw problem;
        }
        if (session === this.session) return;
      }
    }

    restart(options) {
      this.epoch += 1;
      this.streaming.abort();
      this.session = this.start(options);
      this.session.catch(() => {}); // whoever waits in ensure() hears of it
      wake();
      return this.ensure();
    }

    async proof() {
      if (typeof this.identity !== 'function') return this.identity;
      try {
        return (await this.identity()) || null;
      } catch (error) {
        this.emit('error', { title: 'Identity callback failed', detail: String(error?.message ?? error), status: 0 });
        return null;
      }
    }

    async start({ ended = false } = {}) {
      const epoch = this.epoch;
      let refreshed = false;
      let guest = false;
      if (this.expectsIdentity()) {
        await sleep(this.born + IDENTITY_WAIT - Date.now());
        if (epoch !== this.epoch) return;
      }
      for (let tries = 1; ; tries += 1) {
        const jwt = guest ? null : await this.proof();
        if (epoch !== this.epoch) return;
        const token = this.choose(jwt === null ? null : subjectOf(jwt));
        this.changed();
        try {
          const answer = await call('/sessions', { json: { brand: this.brand, ...(jwt && { identity: jwt }) }, token });
          if (epoch !== this.epoch) return;
          if (jwt) this.provedAt = Date.now();
          this.adopt(answer, { usedToken: token, keepUnsent: ended || !jwt });
          if (ended)
            this.notice('Your last session had ended, so this is a new one. What you had not sent is still here.');
          if (guest) this.notice('We could not confirm your sign-in, so you are chatting as a guest.');
          return;
        } catch (problem) {
          if (epoch !== this.epoch) return;
          if (problem.status === 401 && token) {
            this.remember({ token: null });
            ended ||= this.messages.size > 0;
          } else if (problem.status === 401 && jwt && !refreshed && typeof this.identity === 'function') {
            refreshed = true;
          } else if (problem.status === 401 && jwt) {
            guest = true;
            this.emit('error', problem);
          } else if (problem.passing && !this.life.signal.aborted) {
            this.setLost(true);
            await sleep(backoff(tries, problem.retryAfter));
            if (epoch !== this.epoch) return;
          } else {
            this.emit('error', problem);
            this.view?.alert(problem.detail);
            throw problem;
          }
        }
      }
    }

    adopt(answer, { usedToken, keepUnsent }) {
      if (answer.conversation_id !== this.conversation) this.reset();
      const elsewhere = ({ conversation }) => conversation && conversation !== answer.conversation_id;
      // a sign-in that leads to another conversation means another customer wrote these
      if (!keepUnsent) this.pending = this.pending.filter((item) => !elsewhere(item));
      this.pending.filter(elsewhere).forEach((item) => (item.base = 0));
      this.pending.forEach((item) => (item.conversation = answer.conversation_id));
      this.token = answer.token;
      this.conversation = answer.conversation_id;
      this.customer = answer.customer ?? null;
      this.info = answer.brand ?? this.info;
      for (const message of answer.messages) this.take(message);
      this.remember({ token: this.token });
      this.saveQueue();
      const record = this.record();
      if (this.slot === 'user' && record.anon?.token && record.anon.token === usedToken) {
        delete record.anon;
        lasting.set(this.key, record);
      }
      this.setLost(false);
      this.view?.theme();
      this.changed();
      this.listen();
      this.pump();
    }

    /** The token is not accepted any more: go on in a new session, unless another tab has opened one already. */
    renew(refused) {
      if (refused !== this.token) return this.ensure();
      const elsewhere = this.stored().token;
      this.renewedAt = Date.now();
      if (elsewhere && elsewhere !== refused) return this.restart();
      this.remember({ token: null });
      return this.restart({ ended: true });
    }

    /**
     * Ask with the session's token; once more in a new session if the old one has ended. Null if `wanted` no longer
     * holds or another conversation took over meanwhile: what belongs to one is neither said nor shown in another.
     */
    async authorized(path, options, wanted) {
      for (let renewed = false; ; renewed = true) {
        await this.ensure();
        if (!wanted()) return null;
        const { token, conversation } = this;
        try {
          const answer = await call(path, { ...options, token });
          return wanted() && conversation === this.conversation ? answer : null;
        } catch (problem) {
          if (problem.status !== 401 || renewed) throw problem;
          await this.renew(token);
        }
      }
    }

    setIdentity(identity) {
      const next = identity || null;
      const identified = this.subject !== null || this.customer !== null;
      const same = typeof next === 'string' && subjectOf(next) === this.subject;
      if (next === null) this.signOut();
      else if (identified && !same) this.wipe();
      else if (!same) this.reset(); // shown again once the server says that it is theirs
      this.identity = next;
      if (this.session || this.view?.isOpen || this.hasStoredSession()) this.restart().catch(() => {});
    }

    signOut() {
      const record = this.record();
      delete record.user;
      if (this.customer) delete record.anon; // proved by a code in the chat: leaves with the customer too
      lasting.set(this.key, Object.keys(record).length ? record : null);
      if (this.subject !== null || this.customer) this.wipe();
    }

    /** Nothing of this customer stays on the screen or in the composer. */
    wipe() {
      this.epoch += 1;
      this.streaming.abort();
      this.session = null;
      this.subject = null;
      this.slot = 'anon';
      this.pending = [];
      this.read = 0;
      this.reset();
      this.view?.wipe();
      this.changed();
    }

    /** Another tab changed the stored record: it signed out, renewed the session, or read something. */
    writtenElsewhere({ key, newValue }) {
      if (!this.token || (key !== null && key !== this.key)) return; // the key is null when everything was cleared
      // Whether it signed out is in what it wrote: the record may hold this tab's own words by now, written meanwhile.
      const written = parsed(newValue) ?? {};
      const theirs = written[this.slot];
      if (!theirs || (this.slot === 'user' && theirs.sub !== this.subject)) {
        if (this.slot === 'anon' && written.user) return; // signed in over there; this page will say so itself
        this.forgetStored();
        this.identity = null;
        this.wipe();
        if (this.view?.isOpen) this.restart().catch(() => {});
        return;
      }
      const slot = this.stored();
      if (slot.token && slot.token !== this.token) {
        this.restart().catch(() => {});
      } else if ((slot.read ?? 0) > this.read) {
        this.read = slot.read;
        this.changed();
      }
    }

    /** Take this session off the device's record, unless a newer one stands there by now. */
    forgetStored() {
      const record = this.record();
      if (record[this.slot]?.token && record[this.slot].token !== this.token) return;
      delete record[this.slot];
      lasting.set(this.key, Object.keys(record).length ? record : null);
    }

    end() {
      this.epoch += 1;
      this.life.abort();
      this.streaming.abort();
      wake();
    }

    // -- receiving

    /** Keep a message; `cursor` only follows what came in order, so that a resumed stream leaves no gap. */
    take(message, { ordered = true, live = false } = {}) {
      if (ordered) this.cursor = Math.max(this.cursor, message.seq);
      if (this.messages.has(message.seq)) return;
      this.messages.set(message.seq, message);
      if (message.author !== 'customer') this.setTyping(null);
      if (live) {
        this.emit('message', message);
        if (message.author !== 'customer' && message.seq > this.read) this.view?.arrived(message);
      }
    }

    async listen() {
      this.streaming.abort();
      const { epoch, life } = this;
      const streaming = (this.streaming = new AbortController());
      const over = () => epoch !== this.epoch || streaming.signal.aborted || life.signal.aborted;
      let failures = 0;
      while (!over()) {
        const { token } = this;
        try {
          await readStream({
            token,
            after: this.cursor,
            signal: streaming.signal,
            onOpen: () => over() || this.setLost(false),
            onEvent: (event) => {
              if (over()) return;
              failures = 0;
              this.handle(event);
            },
          });
        } catch (problem) {
          if (over()) return;
          if (problem.status === 401) {
            if (Date.now() - this.renewedAt > 10_000) return void this.renew(token).catch(() => {});
            this.setLost(true);
          } else {
            await this.catchUp(over);
          }
        }
        if (over()) return;
        failures += 1;
        await sleep(backoff(failures));
      }
    }

    /** Ask the plain way: tells a broken stream from a lost connection, and works where proxies hold streams back. */
    async catchUp(over) {
      try {
        const { messages } = await call(`/messages?after=${this.cursor}`, { token: this.token });
        if (over()) return;
        this.setLost(false);
        messages.forEach((message) => this.take(message, { live: true }));
        this.changed();
      } catch (problem) {
        if (!over() && problem.passing) this.setLost(true);
      }
    }

    handle({ event, data }) {
      const value = parsed(data);
      if (value === null) return;
      if (event === 'message') this.take(value, { live: true });
      else if (event === 'typing') this.setTyping(value.on && value.author !== 'customer' ? value.author : null);
      else if (event === 'state') {
        this.owner = value.owner;
        this.people = value; // who has the conversation, the place in the queue, how far the person has read
      }
      this.changed();
    }

    setTyping(author) {
      clearTimeout(this.typingTimer);
      const lasts = author === 'agent' ? TYPING_LASTS : 30_000;
      if (author) this.typingTimer = setTimeout(() => this.setTyping(null), lasts);
      if (this.typing === author) return;
      this.typing = author;
      this.changed();
    }

    get withPeople() {
      return this.owner === 'queued' || this.owner === 'human';
    }

    /** Tell people that the customer is writing or has read something; of no matter if it fails. */
    tell(path, json) {
      if (this.token && this.withPeople) call(path, { token: this.token, json }).catch(() => {});
    }

    writing() {
      if (Date.now() - (this.toldAt ?? 0) < TYPING_EVERY) return;
      this.toldAt = Date.now();
      this.tell('/typing', {});
    }

    setLost(lost) {
      if (this.lost === lost) return;
      this.lost = lost;
      if (!lost) {
        this.pending
          .filter(({ state }) => state === 'failed')
          .forEach((item) => Object.assign(item, { state: 'sending', tries: 0 }));
        wake();
        this.pump();
      }
      this.view?.connection(lost);
      this.changed();
    }

    hurry() {
      wake();
      this.pump();
    }

    visibility() {
      clearTimeout(this.hiddenTimer);
      if (document.hidden) {
        this.hiddenTimer = setTimeout(() => this.streaming.abort(), HIDDEN_PAUSE);
        return;
      }
      if (this.token && this.streaming.signal.aborted) this.listen();
      this.hurry();
      this.changed();
    }

    // -- sending

    send(content) {
      const base = Math.max(0, ...this.messages.keys());
      this.pending.push({
        client_id: uuid(),
        at: new Date().toISOString(),
        conversation: this.conversation,
        base,
        state: 'sending',
        tries: 0,
        ...content,
      });
      this.saveQueue();
      this.changed();
      this.pump();
    }

    retry(item) {
      Object.assign(item, { state: 'sending', tries: 0, error: '' });
      this.changed();
      this.hurry();
    }

    drop(item) {
      this.pending = this.pending.filter((other) => other !== item);
      this.saveQueue();
      this.changed();
      this.pump();
    }

    /** Send what is queued, one after the other; the same client_id again is safe, whatever became of the last try. */
    async pump() {
      if (this.pumping) return;
      this.pumping = true;
      try {
        for (;;) {
          const item = this.pending.find(({ state }) => state !== 'rejected');
          if (!item || item.state === 'failed' || this.life.signal.aborted) return;
          await this.deliver(item);
        }
      } finally {
        this.pumping = false;
        this.changed();
      }
    }

    async deliver(item) {
      const dots = setTimeout(() => this.owner === 'bot' && this.pending.includes(item) && this.setTyping('bot'), 400);
      try {
        if (typeof this.identity === 'function' && this.provedAt && Date.now() - this.provedAt > PROOF_AGE)
          await this.restart();
        const { client_id, text, button, files } = item;
        const json = { client_id, text, button, files };
        const answer = await this.authorized('/messages', { json }, () => this.pending.includes(item));
        if (!this.pending.includes(item)) return; // another customer has the panel now
        if (answer) this.view?.settled(item, answer.message);
        this.pending = this.pending.filter((other) => other !== item);
        this.saveQueue();
        this.setLost(false);
        if (this.typing === 'bot') this.setTyping(null);
        if (!answer) return;
        this.take(answer.message, { ordered: false, live: true });
        answer.replies.forEach((reply) => this.take(reply, { ordered: false, live: true }));
      } catch (problem) {
        if (!this.pending.includes(item)) return;
        clearTimeout(dots);
        this.setTyping(null);
        item.error = problem.status === 0 ? '' : problem.detail;
        if (problem.passing) {
          item.tries += 1;
          item.state = item.tries < AUTOMATIC_TRIES ? 'retrying' : 'failed';
          if (problem.status === 0) this.setLost(true);
          this.changed();
          if (item.state === 'retrying') await sleep(backoff(item.tries, problem.retryAfter));
        } else if (problem.status === 401) {
          item.state = 'failed';
        } else {
          item.state = 'rejected';
          this.emit('error', problem);
        }
        this.saveQueue();
      } finally {
        clearTimeout(dots);
        this.changed();
      }
    }

    upload(file, wanted) {
      const form = new FormData();
      form.append('file', file, file.name);
      return this.authorized('/files', { form }, wanted);
    }

    notice(text) {
      this.notices.push({ id: uuid(), text, after: Math.max(0, ...this.messages.keys()) });
      this.changed();
    }

    // -- what the view shows

    /** All entries in order; a queued message that has already come back through the stream is shown once. */
    entries() {
      const messages = [...this.messages.values()].sort((a, b) => a.seq - b.seq);
      const claimed = new Set();
      const waiting = this.pending.filter((item) => {
        const twin = messages.find(
          (message) => !claimed.has(message.seq) && message.seq > item.base && sameContent(item, message),
        );
        if (twin) {
          claimed.add(twin.seq);
          this.view?.settled(item, twin);
        }
        return !twin;
      });
      return [
        ...messages.map((message) => ({ key: `s${message.seq}`, ...message })),
        ...waiting.map((item) => ({
          key: item.client_id,
          author: 'customer',
          text: item.text ?? item.label ?? '',
          buttons: [],
          attachments: item.attachments ?? [],
          at: item.at,
          item,
        })),
      ];
    }

    /** Recount, tell who wants to know, redraw once for any number of changes. */
    changed() {
      if (this.redraw) return;
      this.redraw = true;
      queueMicrotask(() => {
        this.redraw = false;
        if (this.life.signal.aborted) return;
        const seqs = [...this.messages.keys()];
        const last = Math.max(0, ...seqs);
        if (this.view?.isOpen && !document.hidden && this.token && last > this.read) {
          this.read = last;
          this.remember({ read: last });
        }
        if (this.withPeople && this.read > (this.readTold ?? 0)) {
          this.readTold = this.read;
          this.tell('/read', { seq: this.read });
        }
        const unread = [...this.messages.values()].filter(
          ({ seq, author }) => seq > this.read && (author === 'bot' || author === 'agent'),
        ).length;
        if (unread !== this.unread) {
          this.unread = unread;
          this.emit('unread', unread);
        }
        this.view?.render();
      });
    }
  }

  const sameContent = (item, message) => {
    if (message.author !== 'customer') return false;
    if (item.files) return message.attachments.map(({ id }) => id).join() === item.files.join();
    return message.text.trim() === (item.text ?? item.label);
  };

  // --------------------------------------------------------------------------- style sheet

  const CSS = `
:host {
  all: initial;
  position: static;
  color-scheme: light dark;
  --surface: #ffffff;
  --raised: #ffffff;
  --bubble: #f1f3f7;
  --text: #161a23;
  --muted: #566072;
  --line: #e3e7ee;
  --danger: #b42318;
  --danger-soft: #fef1f0;
  --warn: #7a4a00;
  --warn-soft: #fff6e0;
  --good: #05603a;
  --good-soft: #e9f9f0;
  --primary: var(--primary-light);
  --primary-deep: var(--primary-deep-light);
  --on: var(--on-light);
  --accent: var(--accent-light);
  --shadow: 0 0 0 1px rgb(16 24 40 / .05), 0 2px 6px rgb(16 24 40 / .06), 0 18px 50px rgb(16 24 40 / .2);
  --r: var(--radius, 18px);
}
@media (prefers-color-scheme: dark) {
  :host {
    --surface: #14171d;
    --raised: #1b1f27;
    --bubble: #252a34;
    --text: #eef0f4;
    --muted: #a6aebc;
    --line: #323845;
    --danger: #ff9c93;
    --danger-soft: #3a1d1c;
    --warn: #ffd28a;
    --warn-soft: #38290f;
    --good: #7fe0ae;
    --good-soft: #11301f;
    --primary: var(--primary-dark);
    --primary-deep: var(--primary-deep-dark);
    --on: var(--on-dark);
    --accent: var(--accent-dark);
    --shadow: 0 0 0 1px rgb(255 255 255 / .09), 0 18px 50px rgb(0 0 0 / .6);
  }
}
@media print { :host { display: none !important; } }

*, *::before, *::after { box-sizing: border-box; }
[hidden] { display: none !important; }
.root {
  font: 400 15px/1.47 var(--font); color: var(--text); -webkit-font-smoothing: antialiased; letter-spacing: -.003em;
  text-align: start;
}
button, textarea { font: inherit; color: inherit; letter-spacing: inherit; margin: 0; }
button {
  appearance: none; border: 0; background: none; padding: 0; cursor: pointer;
  -webkit-tap-highlight-color: transparent;
}
h2, h3, p, ul { margin: 0; padding: 0; font-size: inherit; font-weight: inherit; }
svg {
  display: block; width: 22px; height: 22px; fill: none; stroke: currentColor; stroke-width: 1.8;
  stroke-linecap: round; stroke-linejoin: round;
}
:focus { outline: none; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
.sr { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }

/* launcher */
.launcher {
  position: fixed; inset-block-end: calc(20px + env(safe-area-inset-bottom));
  inset-inline-end: calc(20px + env(safe-area-inset-right));
  z-index: 2147483001; width: 60px; height: 60px; border-radius: 50%; color: var(--on);
  background: linear-gradient(150deg, var(--primary), var(--primary-deep));
  box-shadow: 0 1px 3px rgb(16 24 40 / .2), 0 8px 24px rgb(16 24 40 / .24);
  display: grid; place-items: center; transition: box-shadow .2s;
  animation: rise .35s cubic-bezier(.2, .9, .3, 1.1) backwards;
}
.launcher:hover { box-shadow: 0 2px 6px rgb(16 24 40 / .24), 0 12px 30px rgb(16 24 40 / .32); }
.launcher:hover .i-talk { transform: scale(1.08); }
.launcher:active .i-talk { transform: scale(.94); }
.launcher:focus-visible { outline: 3px solid var(--accent); outline-offset: 3px; }
.launcher svg { grid-area: 1 / 1; width: 28px; height: 28px; transition: transform .25s, opacity .2s; }
.launcher .i-down, .open .launcher .i-talk { opacity: 0; transform: rotate(-30deg) scale(.6); }
.open .launcher .i-down { opacity: 1; transform: none; }
.badge {
  position: absolute; inset-block-start: -3px; inset-inline-end: -3px; min-width: 22px; height: 22px; padding: 0 6px;
  border-radius: 11px;
  background: #d92d20; color: #fff; font: 600 12px/22px var(--font); text-align: center;
  box-shadow: 0 0 0 2px var(--surface);
}

/* preview of a message that came while the panel was closed */
.nudge {
  position: fixed; inset-block-end: calc(94px + env(safe-area-inset-bottom));
  inset-inline-end: calc(20px + env(safe-area-inset-right));
  z-index: 2147483000; width: min(320px, calc(100vw - 40px)); background: var(--raised); border-radius: var(--r);
  box-shadow: var(--shadow);
  animation: rise .3s cubic-bezier(.2, .9, .3, 1.1);
}
.nudge .read { display: block; width: 100%; padding: 14px 46px 14px 16px; text-align: start; border-radius: inherit; }
.nudge b { display: block; font-weight: 600; font-size: 13px; color: var(--muted); }
.nudge .words {
  display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: 3; overflow: hidden;
  overflow-wrap: anywhere;
}
.nudge .icon {
  position: absolute; inset-block-start: 4px; inset-inline-end: 4px; width: 36px; height: 36px; color: var(--muted);
}
.nudge .icon svg { width: 16px; height: 16px; }

/* panel */
.panel {
  position: fixed; inset-block-end: calc(96px + env(safe-area-inset-bottom));
  inset-inline-end: calc(20px + env(safe-area-inset-right));
  z-index: 2147483000; width: min(400px, calc(100vw - 40px)); height: min(704px, calc(100dvh - 120px));
  display: flex; flex-direction: column; overflow: hidden; background: var(--surface);
  border-radius: calc(var(--r) + 2px); box-shadow: var(--shadow);
  transform-origin: 100% 100%; visibility: hidden; opacity: 0; transform: translateY(12px) scale(.96);
  transition: opacity .16s ease-out, transform .22s cubic-bezier(.2, .9, .3, 1), visibility 0s .22s;
}
.panel:focus-visible { outline: none; }
.open .panel { visibility: visible; opacity: 1; transform: none; transition-delay: 0s; }

header {
  flex: none; display: flex; align-items: center; gap: 12px; padding: 16px 10px 16px 18px; color: var(--on);
  background: linear-gradient(150deg, var(--primary), var(--primary-deep)); touch-action: none;
}
header .face {
  width: 40px; height: 40px; font-size: 16px; color: var(--on); background: none;
  box-shadow: inset 0 0 0 1.5px currentColor;
}
header .who { flex: 1; min-width: 0; }
h2 {
  font-size: 16px; font-weight: 650; line-height: 1.25; letter-spacing: -.012em; overflow: hidden;
  text-overflow: ellipsis; white-space: nowrap;
}
.status span { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.status { display: flex; align-items: center; gap: 6px; font-size: 13px; line-height: 1.35; margin-block-start: 2px; }
.status i {
  flex: none; width: 8px; height: 8px; border-radius: 50%; background: #3ccb7f; box-shadow: 0 0 0 1.5px var(--on);
}
.status[data-owner=queued] i { background: #fdb022; }
.status[data-owner=closed] i, .lost .status i { background: #98a2b3; }
.icon {
  flex: none; display: grid; place-items: center; width: 44px; height: 44px; border-radius: 50%;
  transition: background .15s;
}
.icon:hover { background: color-mix(in srgb, currentColor 12%, transparent); }
header :focus-visible { outline-color: var(--on); outline-offset: -4px; }

.face {
  flex: none; display: grid; place-items: center; width: 28px; height: 28px; border-radius: 50%; user-select: none;
  background: linear-gradient(150deg, var(--primary), var(--primary-deep)); color: var(--on); font-weight: 650;
  font-size: 12px; line-height: 1;
}
.face.agent { background: var(--bubble); color: var(--text); box-shadow: inset 0 0 0 1px var(--line); }

.banner {
  flex: none; display: flex; align-items: center; gap: 10px; padding: 9px 18px; background: var(--warn-soft);
  color: var(--warn); font-size: 13px; line-height: 1.4;
}
.banner.good { background: var(--good-soft); color: var(--good); }
.banner .spin { color: inherit; }
.banner a { color: inherit; }

.talkbox { position: relative; flex: 1; min-height: 0; display: flex; }
.scroll {
  flex: 1; min-width: 0; overflow: hidden auto; overscroll-behavior: contain; padding: 20px 16px 10px;
  scrollbar-width: thin; scrollbar-color: var(--line) transparent;
}
.scroll:focus-visible { outline-offset: -3px; }
.inner { min-height: 100%; display: flex; flex-direction: column; }

.intro { padding: 4px 4px 18px; }
.intro h3 { font-size: 22px; line-height: 1.25; font-weight: 680; letter-spacing: -.022em; text-wrap: balance; }
.intro .hello { margin-block-start: 6px; color: var(--text); overflow-wrap: anywhere; }
.intro small {
  display: flex; gap: 8px; margin-block-start: 12px; font-size: 13px; line-height: 1.45; color: var(--muted);
}
.intro small svg { flex: none; width: 16px; height: 16px; margin-block-start: 1px; }

.log { display: flex; flex-direction: column; }
.day, .note {
  align-self: center; max-width: 88%; text-align: center; font-size: 12.5px; line-height: 1.45; color: var(--muted);
  margin-block: 14px 8px; text-wrap: pretty;
}
.day { font-weight: 550; }
.note {
  padding: 6px 12px; border-radius: 12px; background: color-mix(in srgb, var(--bubble) 60%, transparent);
  overflow-wrap: anywhere;
}

.note .choices { justify-content: center; margin-block-start: 8px; }

.msg { display: grid; grid-template-columns: 28px minmax(0, 1fr); column-gap: 8px; margin-block-start: 3px; }
.msg.first { margin-block-start: 16px; }
.msg.fresh { animation: rise .26s cubic-bezier(.2, .8, .3, 1) backwards; }
.msg .face { align-self: end; grid-column: 1; grid-row: 1; visibility: hidden; }
.msg.last .face { visibility: visible; }
.stack {
  grid-column: 2; grid-row: 1; display: flex; flex-direction: column; align-items: flex-start; gap: 6px;
  min-width: 0;
}
.name { font-size: 12.5px; line-height: 1.3; color: var(--muted); padding-inline-start: 2px; }
.msg:not(.first) .name { display: none; }
.bubble {
  max-width: min(100%, 310px); padding: 9px 14px; background: var(--bubble); border-radius: var(--r);
  border-start-start-radius: 6px; border-end-start-radius: 6px;
  overflow-wrap: anywhere;
}
.first .bubble { border-start-start-radius: var(--r); }
.bubble p { white-space: pre-wrap; }
.bubble p + p, .bubble p + ul, .bubble ul + p, .bubble ul + ul { margin-block-start: 8px; }
.bubble ul { padding-inline-start: 18px; }
.bubble li + li { margin-block-start: 3px; }
.bubble li::marker { color: var(--muted); }
.bubble a { color: var(--accent); text-underline-offset: 2px; text-decoration-thickness: 1px; }
.bubble a:hover { text-decoration-thickness: 2px; }

.mine { grid-template-columns: minmax(0, 1fr); }
.mine .stack { grid-column: 1; align-items: flex-end; padding-inline-start: 44px; }
.mine .bubble {
  background: var(--primary); color: var(--on); border-radius: var(--r); border-start-end-radius: 6px;
  border-end-end-radius: 6px;
}
.mine.first .bubble { border-start-end-radius: var(--r); }
.mine .bubble a { color: inherit; }
.mine .bubble li::marker { color: inherit; }
.meta {
  grid-column: 2; grid-row: 2; display: flex; flex-wrap: wrap; align-items: center; gap: 0 5px; min-height: 20px;
  padding-inline: 2px; margin-block-start: 3px; font-size: 12px; line-height: 20px; color: var(--muted);
}
.mine .meta { grid-column: 1; justify-content: flex-end; text-align: end; }
.meta .bad { color: var(--danger); }
.meta .slow { animation: appear .2s .6s backwards; }
.meta button {
  min-height: 24px; padding: 0 4px; margin-inline: -4px; color: var(--accent); font-weight: 600;
  text-decoration: underline; text-underline-offset: 2px; border-radius: 6px;
}

.choices { display: flex; flex-wrap: wrap; gap: 8px; padding-block: 4px 2px; }
.choices button {
  min-height: 44px; max-width: 100%; padding: 9px 16px; border-radius: min(22px, calc(var(--r) + 4px));
  text-align: start; line-height: 1.3; font-weight: 550; font-size: 14.5px;
  color: var(--accent); background: var(--surface);
  box-shadow: inset 0 0 0 1.5px color-mix(in srgb, var(--accent) 55%, var(--line)); overflow-wrap: anywhere;
  transition: background .15s, box-shadow .15s, transform .1s;
}
.choices button:not(:disabled):hover {
  background: color-mix(in srgb, var(--accent) 9%, var(--surface)); box-shadow: inset 0 0 0 1.5px var(--accent);
}
.choices button:not(:disabled):active { transform: scale(.98); }
.choices button:disabled {
  min-height: 34px; padding: 5px 13px; font-size: 13.5px; color: var(--muted); font-weight: 450; cursor: default;
  background: transparent; box-shadow: inset 0 0 0 1px var(--line);
}
.choices button.chosen { color: var(--text); font-weight: 550; background: var(--bubble); }
.choices .chosen::before { content: "✓" / ""; margin-inline-end: 6px; }

.card {
  display: flex; align-items: center; gap: 12px; max-width: min(100%, 300px); min-height: 60px;
  padding: 10px 14px 10px 10px; border-radius: var(--r); color: var(--text); text-decoration: none;
  background: var(--surface); box-shadow: inset 0 0 0 1px var(--line); transition: background .15s;
}
a.card:hover { background: color-mix(in srgb, var(--bubble) 55%, var(--surface)); }
.card .tile {
  flex: none; display: grid; place-items: center; width: 40px; height: 40px; border-radius: min(12px, var(--r));
  background: color-mix(in srgb, var(--accent) 12%, var(--surface)); color: var(--accent);
}
.card .label { min-width: 0; flex: 1; }
.card b {
  display: block; font-weight: 600; font-size: 14px; line-height: 1.35; overflow: hidden; text-overflow: ellipsis;
  display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: 2; overflow-wrap: anywhere;
}
.card small { font-size: 12.5px; color: var(--muted); line-height: 1.4; }
.card > svg { flex: none; width: 18px; height: 18px; color: var(--muted); }
.picture {
  display: block; border-radius: var(--r); overflow: hidden; box-shadow: 0 0 0 1px var(--line);
  background: var(--bubble);
}
.picture img {
  display: block; max-width: min(100%, 240px); max-height: 220px; min-width: 44px; min-height: 44px;
  object-fit: cover;
}

.typing {
  display: grid; grid-template-columns: 28px auto; justify-content: start; gap: 8px; margin-block-start: 16px;
  align-items: end; animation: appear .2s;
}
.typing .bubble { display: flex; gap: 4px; padding: 15px 15px; }
.typing i {
  width: 7px; height: 7px; border-radius: 50%; background: var(--muted); animation: hop 1.2s infinite ease-in-out;
}
.typing i:nth-child(2) { animation-delay: .15s; }
.typing i:nth-child(3) { animation-delay: .3s; }
.wait { align-self: center; margin: 24px auto; color: var(--muted); }

.jump {
  position: absolute; inset-block-end: 10px; inset-inline: 0; margin-inline: auto; width: fit-content; display: flex;
  align-items: center; gap: 6px; min-height: 36px; padding: 0 14px; border-radius: 18px;
  font-size: 13px; font-weight: 600; background: var(--raised);
  box-shadow: 0 0 0 1px var(--line), 0 6px 18px rgb(16 24 40 / .18); animation: rise .2s;
}
.jump svg { width: 16px; height: 16px; }

/* composer */
form { flex: none; padding: 8px 12px calc(12px + env(safe-area-inset-bottom)); background: var(--surface); }
.alert {
  display: flex; align-items: flex-start; gap: 8px; margin-block-end: 8px; padding: 4px 4px 4px 12px;
  border-radius: 12px; background: var(--danger-soft); color: var(--danger); font-size: 13.5px; line-height: 1.4;
  overflow-wrap: anywhere;
}
.alert span { flex: 1; padding-block: 7px; }
.alert .icon { width: 34px; height: 34px; }
.alert svg { width: 16px; height: 16px; }
.tray { display: flex; flex-wrap: wrap; gap: 6px; margin-block-end: 8px; max-height: 132px; overflow-y: auto; }
.chip {
  display: flex; align-items: center; gap: 8px; max-width: 100%; min-height: 40px; padding-inline: 12px 2px;
  border-radius: 12px; background: var(--bubble); font-size: 13px; line-height: 1.3;
}
.chip svg { width: 16px; height: 16px; flex: none; }
.chip .file { min-width: 0; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; max-width: 170px; }
.chip small { display: block; font-size: 12px; color: var(--muted); }
.chip.bad small { color: var(--danger); white-space: normal; }
.chip .icon { width: 36px; height: 36px; }
.box {
  display: flex; align-items: flex-end; gap: 2px; padding: 3px; border-radius: calc(var(--r) + 7px);
  background: var(--surface); box-shadow: inset 0 0 0 1.5px color-mix(in srgb, var(--muted) 60%, var(--line));
  transition: box-shadow .15s;
}
.box:focus-within { box-shadow: inset 0 0 0 2px var(--accent); }
textarea {
  flex: 1; min-width: 0; height: 44px; max-height: 148px; padding: 11px 4px; border: 0; background: none;
  resize: none; font-size: 16px; line-height: 22px; overflow-y: auto; scrollbar-width: thin;
}
textarea:focus-visible { outline: none; }
textarea::placeholder { color: var(--muted); opacity: 1; }
.box .icon { color: var(--muted); }
.box .send {
  color: var(--on); background: var(--primary); transition: background .15s, color .15s, transform .15s;
  transform: scale(.86);
}
.box .send svg { width: 20px; height: 20px; }
.box .send:hover { background: var(--primary-deep); }
.box .send[aria-disabled=true] { color: var(--muted); background: var(--bubble); cursor: default; }
.counter { padding: 6px 14px 0; font-size: 12.5px; line-height: 1.4; color: var(--muted); text-align: end; }
.counter.bad { color: var(--danger); text-align: start; }
.drop {
  position: absolute; inset: 8px; z-index: 2; display: grid; place-content: center; justify-items: center; gap: 10px;
  border-radius: var(--r); border: 2px dashed var(--accent);
  background: color-mix(in srgb, var(--surface) 92%, transparent); color: var(--accent); font-weight: 600;
  pointer-events: none;
}
.drop svg { width: 30px; height: 30px; }

.spin {
  flex: none; width: 16px; height: 16px; border-radius: 50%; border: 2px solid currentColor;
  border-inline-end-color: transparent; animation: turn .8s linear infinite; color: var(--muted);
}

@keyframes rise { from { opacity: 0; transform: translateY(8px); } }
@keyframes appear { from { opacity: 0; } }
@keyframes hop { 0%, 60%, 100% { transform: none; opacity: .5; } 30% { transform: translateY(-4px); opacity: 1; } }
@keyframes turn { to { transform: rotate(1turn); } }

/* phones, and any window at a high zoom: the whole screen, above the on-screen keyboard */
@media (max-width: 479.98px) {
  .panel {
    inset: var(--view-top, 0) 0 auto; width: auto; height: var(--view-height, 100dvh); border-radius: 0;
    transform: translateY(16px); padding-inline: env(safe-area-inset-left) env(safe-area-inset-right);
  }
  header { padding-block-start: calc(12px + env(safe-area-inset-top)); padding-block-end: 12px; }
  .open .launcher { display: none; }
  .launcher {
    inset-block-end: calc(16px + env(safe-area-inset-bottom));
    inset-inline-end: calc(16px + env(safe-area-inset-right));
  }
  .choices button:not(:disabled) { min-height: 46px; }
}
@media (max-height: 560px) {
  .panel { height: calc(100dvh - 104px); }
  header { padding-block: 6px; }
  header .face { width: 32px; height: 32px; font-size: 13px; }
}
@media (max-height: 560px) and (max-width: 479.98px) { .panel { height: var(--view-height, 100dvh); } }
@media (max-height: 300px) {
  header .face, .status { display: none; }
  header { padding-block: 0; }
  .scroll { padding-block: 8px; }
  .intro { padding-block-end: 8px; }
  form { padding-block: 4px; }
}
@media (prefers-reduced-motion: reduce) {
  *, *::before, *::after {
    animation-duration: .01ms !important; animation-delay: 0s !important; animation-iteration-count: 1 !important;
    transition: none !important; scroll-behavior: auto !important;
  }
  .typing i { animation: none; opacity: .8; }
}
@media (prefers-contrast: more) { :host { --muted: var(--text); --line: var(--text); } }
@media (forced-colors: active) {
  .launcher, .panel, .nudge, .bubble, .card, .chip, .choices button, .box, .jump, .alert, .banner, .face, .note, .badge,
  .box .send {
    border: 1px solid CanvasText;
  }
  .choices button, .launcher, .box .send, .jump { border-color: ButtonText; }
  .choices button:disabled, .box .send[aria-disabled=true] { color: GrayText; border-color: GrayText; }
  .mine .bubble { border: 2px solid Highlight; }
  .box:focus-within { outline: 2px solid Highlight; }
  .typing i, .status i { forced-color-adjust: none; background: CanvasText; }
  :focus-visible { outline-color: Highlight !important; }
}
`;

  // --------------------------------------------------------------------------- drawing helpers

  /** An element with attributes, `on...` listeners and children; strings become text nodes. */
  const h = (tag, attributes = {}, ...children) => {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
      else if (value !== null && value !== undefined && value !== false)
        node.setAttribute(name, value === true ? '' : value);
    }
    node.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
    return node;
  };

  const ICONS = {
    talk: 'M21 11.6a8.4 8.4 0 0 1-8.6 8.2 9 9 0 0 1-3.5-.7L4 20.5l1.3-4.2a7.9 7.9 0 0 1-1.5-4.7 8.4 8.4 0 0 1 8.6-8.2 8.4 8.4 0 0 1 8.6 8.2zM8.6 11.7h.01M12.4 11.7h.01M16.2 11.7h.01',
    down: 'm6 9.5 6 6 6-6',
    close: 'M6 6l12 12M18 6 6 18',
    send: 'M12 19.5V5m-6.2 6L12 4.8l6.2 6.2',
    clip: 'm20 11.3-8.2 8.2a5.2 5.2 0 0 1-7.4-7.4l8.6-8.5a3.5 3.5 0 0 1 4.9 4.9l-8.5 8.5a1.8 1.8 0 0 1-2.5-2.5l7.7-7.6',
    file: 'M14 3H7a2 2 0 0 0-2 2v14a2 2 0 0 0 2 2h10a2 2 0 0 0 2-2V8zm0 0v5h5M9 13h6M9 17h4',
    open: 'M8 7h9v9M17 7 7 17',
    spark:
      'M12 3.5l1.9 5.1a2.5 2.5 0 0 0 1.5 1.5l5.1 1.9-5.1 1.9a2.5 2.5 0 0 0-1.5 1.5L12 20.5l-1.9-5.1a2.5 2.5 0 0 0-1.5-1.5L3.5 12l5.1-1.9a2.5 2.5 0 0 0 1.5-1.5z',
    arrow: 'M12 5v14m-6-6 6 6 6-6',
  };
  const icon = (name) => {
    const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
    const path = document.createElementNS('http://www.w3.org/2000/svg', 'path');
    path.setAttribute('d', ICONS[name]);
    svg.setAttribute('viewBox', '0 0 24 24');
    svg.setAttribute('class', `i-${name}`);
    svg.setAttribute('aria-hidden', 'true');
    svg.append(path);
    return svg;
  };
  const iconButton = (name, label, onclick, attributes = {}) =>
    h(
      'button',
      { type: 'button', class: 'icon', 'aria-label': label, title: label, onclick, ...attributes },
      icon(name),
    );

  const webAddress = (text) => {
    try {
      const url = new URL(text, ORIGIN);
      return /^https?:$/.test(url.protocol) ? url.href : null;
    } catch {
      return null;
    }
  };

  /** Text nodes and links; punctuation that ends a sentence does not belong to the address. */
  const linked = (text) => {
    const parts = [];
    let from = 0;
    for (const match of text.matchAll(/https?:\/\/[^\s<>"]+/gi)) {
      let address = match[0].replace(/[.,;:!?'\u2019*]+$/, '');
      while (address.endsWith(')') && address.split(')').length > address.split('(').length)
        address = address.slice(0, -1).replace(/[.,;:!?]+$/, '');
      const href = webAddress(address);
      if (!href) continue;
      parts.push(
        text.slice(from, match.index),
        h('a', { href, target: '_blank', rel: 'noopener noreferrer' }, address),
      );
      from = match.index + address.length;
    }
    parts.push(text.slice(from));
    return parts.filter((part) => part !== '');
  };

  /** Paragraphs, line breaks, and lists of lines that start with "- ". */
  const formatted = (text) => {
    const blocks = [];
    let paragraph = [];
    let list = null;
    const flush = () => {
      const words = paragraph.join('\n').replace(/^\n+|\s+$/g, '');
      if (words) blocks.push(h('p', {}, ...linked(words)));
      paragraph = [];
    };
    for (const line of text.split('\n')) {
      if (line.startsWith('- ')) {
        flush();
        if (!list) blocks.push((list = h('ul')));
        list.append(h('li', {}, ...linked(line.slice(2))));
      } else {
        list = null;
        if (line.trim() === '') flush();
        else paragraph.push(line);
      }
    }
    flush();
    return blocks;
  };

  const clock = new Intl.DateTimeFormat(undefined, { hour: 'numeric', minute: '2-digit' });
  const calendar = new Intl.DateTimeFormat('en', { weekday: 'long', day: 'numeric', month: 'long' });
  const full = new Intl.DateTimeFormat(undefined, { dateStyle: 'full', timeStyle: 'short' });
  const dayName = (date) => {
    const today = new Date();
    if (date.toDateString() === today.toDateString()) return 'Today';
    today.setDate(today.getDate() - 1);
    return date.toDateString() === today.toDateString() ? 'Yesterday' : calendar.format(date);
  };

  const initials = (name) => {
    const words = name.trim().split(/\s+/);
    return ((words[0]?.[0] ?? '') + (words.length > 1 ? words.at(-1)[0] : '')).toUpperCase();
  };

  // WCAG 2.2 relative luminance and contrast of [r, g, b]
  const luminance = (rgb) => {
    const [r, g, b] = rgb.map((part) =>
      part / 255 <= 0.04045 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4,
    );
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (a, b) => {
    const [light, dark] = [luminance(a), luminance(b)].sort((x, y) => y - x);
    return (light + 0.05) / (dark + 0.05);
  };
  const mix = (a, b, share) => a.map((part, index) => Math.round(part + (b[index] - part) * share));
  const css = (rgb) => `rgb(${rgb.join(' ')})`;
  const WHITE = [255, 255, 255];
  const BLACK = [10, 12, 16];
  /** The colour itself, or the nearest step towards `end` that can be read on every one of `grounds`. */
  const readable = (rgb, grounds, end) => {
    for (let share = 0; share < 1; share += 0.05) {
      const candidate = mix(rgb, end, share);
      if (grounds.every((ground) => contrast(candidate, ground) >= 4.6)) return candidate;
    }
    return end;
  };

  const fullScreen = matchMedia('(max-width: 479.98px)');
  const touch = matchMedia('(pointer: coarse)');

  const TYPING_EVERY = 3000; // ms between two words that the customer is writing
  const TYPING_LASTS = 6000; // ms without another word that a person is writing

  const STATUS = {
    bot: 'Automated assistant',
    queued: 'A person will join you here',
    human: 'You are talking with our team',
    closed: 'Closed. Write to start again',
  };

  let sheet;

  // --------------------------------------------------------------------------- the view

  class SupportBotElement extends HTMLElement {
    attach(chat) {
      this.chat = chat;
      this.isOpen = false;
      this.files = [];
      this.nodes = new Map();
      this.openKey = `${chat.key}:open`;
      this.draftKey = `${chat.key}:draft`;
      if (!sheet) {
        sheet = new CSSStyleSheet();
        sheet.replaceSync(CSS);
      }
      const shadow = this.attachShadow({ mode: 'open' });
      shadow.adoptedStyleSheets = [sheet];
      shadow.append(this.build());
      this.theme();
      this.input.value = perTab.get(this.draftKey) ?? '';
      this.events();
      chat.view = this;
    }

    build() {
      const close = iconButton('close', 'Close chat', () => this.close());
      this.badge = h('span', { class: 'badge', 'aria-hidden': 'true', hidden: true });
      this.launcher = h(
        'button',
        { class: 'launcher', type: 'button', 'aria-expanded': 'false', onclick: () => this.toggle() },
        icon('talk'),
        icon('down'),
        this.badge,
      );
      this.nudge = h('div', { class: 'nudge', role: 'status', hidden: true });

      this.face = h('span', { class: 'face', 'aria-hidden': 'true' });
      this.heading = h('h2', { id: 'title' });
      this.statusText = h('span');
      this.status = h('div', { class: 'status' }, h('i', { 'aria-hidden': 'true' }), this.statusText);
      this.banner = h('div', { class: 'banner', role: 'status', hidden: true });

      this.hello = h('h3');
      this.about = h('p', { class: 'hello', dir: 'auto' });
      this.intro = h(
        'div',
        { class: 'intro' },
        this.hello,
        this.about,
        h(
          'small',
          {},
          icon('spark'),
          h('span', {}, 'You are chatting with an automated assistant. You can ask for a person at any time.'),
        ),
      );
      this.log = h('div', { class: 'log', role: 'log', 'aria-live': 'off', 'aria-label': 'Messages' });
      this.dots = h(
        'div',
        { class: 'typing', hidden: true },
        h('span'),
        h('div', { class: 'bubble' }, h('i'), h('i'), h('i'), h('span', { class: 'sr' })),
      );
      this.waiting = h(
        'div',
        { class: 'wait', hidden: true },
        h('div', { class: 'spin' }),
        h('span', { class: 'sr' }, 'Loading your conversation'),
      );
      this.inner = h('div', { class: 'inner' }, this.intro, this.log, this.dots, this.waiting);
      this.scroller = h(
        'div',
        { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'Conversation' },
        this.inner,
      );
      this.jump = h(
        'button',
        { class: 'jump', type: 'button', hidden: true, onclick: () => this.toEnd(true) },
        icon('arrow'),
        'New message',
      );

      this.alertText = h('span');
      this.alertBox = h(
        'div',
        { class: 'alert', hidden: true },
        this.alertText,
        iconButton('close', 'Dismiss', () => {
          this.alert('');
          this.input.focus();
        }),
      );
      this.alertLive = h('div', { role: 'alert' }, this.alertBox);
      this.tray = h('div', { class: 'tray', role: 'group', 'aria-label': 'Files to send', hidden: true });
      this.picker = h('input', {
        type: 'file',
        multiple: true,
        hidden: true,
        'aria-hidden': 'true',
        tabindex: '-1',
        onchange: () => {
          this.addFiles(this.picker.files);
          this.picker.value = '';
        },
      });
      this.clip = iconButton('clip', 'Attach a file', () => this.picker.click());
      this.input = h('textarea', {
        rows: '1',
        dir: 'auto',
        'aria-label': 'Your message',
        'aria-describedby': 'counter',
        enterkeyhint: 'send',
        autocomplete: 'off',
      });
      this.sendButton = h(
        'button',
        { class: 'icon send', type: 'submit', 'aria-label': 'Send', title: 'Send', 'aria-disabled': 'true' },
        icon('send'),
      );
      this.counter = h('div', { class: 'counter', id: 'counter', hidden: true });
      this.counterLive = h('div', { class: 'sr', role: 'status' });
      this.form = h(
        'form',
        { novalidate: true },
        this.alertLive,
        this.tray,
        this.picker,
        h('div', { class: 'box' }, this.clip, this.input, this.sendButton),
        this.counter,
        this.counterLive,
      );
      this.dropzone = h(
        'div',
        { class: 'drop', hidden: true, 'aria-hidden': 'true' },
        icon('clip'),
        'Drop files to attach them',
      );

      this.panel = h(
        'section',
        { class: 'panel', id: 'panel', role: 'dialog', 'aria-labelledby': 'title', tabindex: '-1', inert: true },
        h('header', {}, this.face, h('div', { class: 'who' }, this.heading, this.status), close),
        this.banner,
        h('div', { class: 'talkbox' }, this.scroller, this.jump),
        this.form,
        this.dropzone,
      );
      this.root = h('div', { class: 'root', lang: 'en' }, this.panel, this.nudge, this.launcher);
      return this.root;
    }

    events() {
      const { signal } = this.chat.life;
      this.form.addEventListener('submit', (event) => {
        event.preventDefault();
        this.submit();
      });
      this.input.addEventListener('keydown', (event) => {
        if (event.key !== 'Enter' || event.shiftKey || event.isComposing || event.keyCode === 229) return;
        event.preventDefault();
        this.submit();
      });
      this.input.addEventListener('input', () => {
        this.typed();
        if (this.input.value) this.chat.writing();
      });
      this.input.addEventListener('paste', (event) => {
        if (!event.clipboardData.files.length || event.clipboardData.getData('text/plain')) return;
        event.preventDefault();
        this.addFiles(event.clipboardData.files);
      });
      this.root.addEventListener('keydown', (event) => {
        if (!this.isOpen || event.isComposing) return;
        if (event.key === 'Escape') {
          event.stopPropagation();
          this.close();
        } else if (event.key === 'Tab' && fullScreen.matches) this.keepFocus(event);
      });
      let depth = 0;
      const carriesFiles = (event) => this.chat.info.upload && event.dataTransfer?.types.includes('Files');
      const drag = (change) => (event) => {
        if (!carriesFiles(event)) return;
        event.preventDefault();
        depth = change === 0 ? 0 : Math.max(0, depth + change);
        this.dropzone.hidden = depth === 0;
      };
      this.panel.addEventListener('dragenter', drag(1));
      this.panel.addEventListener('dragleave', drag(-1));
      this.panel.addEventListener('dragover', (event) => carriesFiles(event) && event.preventDefault());
      this.panel.addEventListener('drop', (event) => {
        drag(0)(event);
        if (carriesFiles(event)) this.addFiles(event.dataTransfer.files);
      });
      this.scroller.addEventListener(
        'scroll',
        () => {
          const { scrollTop } = this.scroller;
          if (this.atEnd()) {
            this.stuck = true;
            this.jump.hidden = true;
          } else if (scrollTop < this.scrolled - 2) this.stuck = false; // up, so by hand: growth alone never moves up
          this.scrolled = scrollTop;
        },
        { passive: true },
      );
      // pictures that load late and a growing composer must not push the newest message out of sight
      const observer = new ResizeObserver(() => this.stuck && this.toEnd());
      observer.observe(this.inner);
      observer.observe(this.scroller);
      const fit = () => this.fit();
      window.visualViewport?.addEventListener('resize', fit, { signal });
      window.visualViewport?.addEventListener('scroll', fit, { signal });
      fullScreen.addEventListener('change', fit, { signal });
      signal.addEventListener('abort', () => observer.disconnect());
      this.stuck = true;
      this.scrolled = 0;
    }

    /** The part of the screen that the on-screen keyboard leaves. */
    fit() {
      const { height, offsetTop, scale } = window.visualViewport ?? {};
      const covered = this.isOpen && fullScreen.matches && height && Math.abs(scale - 1) < 0.01;
      this.root.style.setProperty('--view-height', covered ? `${height}px` : '100dvh');
      this.root.style.setProperty('--view-top', covered ? `${offsetTop}px` : '0px');
      this.panel.setAttribute('aria-modal', String(this.isOpen && fullScreen.matches));
    }

    keepFocus(event) {
      const stops = [...this.panel.querySelectorAll('button:not(:disabled), a[href], textarea, [tabindex="0"]')].filter(
        (node) => node.checkVisibility?.() ?? node.offsetParent,
      );
      const active = this.shadowRoot.activeElement;
      const edge = event.shiftKey ? stops[0] : stops.at(-1);
      if (active !== edge && active !== this.panel) return;
      if (active === this.panel && !event.shiftKey) return;
      event.preventDefault();
      (event.shiftKey ? stops.at(-1) : stops[0]).focus();
    }

    // -- brand

    toRgb(value, fallback) {
      if (!value || !window.CSS.supports('color', value)) return fallback;
      const probe = h('i', { hidden: true });
      this.root.append(probe);
      probe.style.color = value;
      const parts = getComputedStyle(probe).color.match(/^rgba?\(([\d.]+),? ([\d.]+),? ([\d.]+)/);
      probe.remove();
      return parts ? parts.slice(1, 4).map(Number) : fallback;
    }

    theme() {
      const { theme = {}, name, greeting } = this.chat.info;
      const { customer } = this.chat;
      const set = (variable, value) => this.style.setProperty(variable, value);
      const paint = (scheme, primaryColour, onColour, grounds, end) => {
        const primary = this.toRgb(primaryColour, [67, 56, 202]);
        let on = this.toRgb(onColour, WHITE);
        if (contrast(on, primary) < 4.5) on = contrast(WHITE, primary) >= contrast(BLACK, primary) ? WHITE : BLACK;
        const away = luminance(on) > luminance(primary) ? BLACK : WHITE; // the gradient only ever gains contrast
        set(`--primary-${scheme}`, css(primary));
        set(`--primary-deep-${scheme}`, css(mix(primary, away, 0.2)));
        set(`--on-${scheme}`, css(on));
        set(`--accent-${scheme}`, css(readable(primary, grounds, end)));
      };
      const { primary, on_primary, primary_dark = primary, on_primary_dark = on_primary } = theme;
      paint('light', primary, on_primary, [WHITE, [241, 243, 247]], BLACK);
      paint(
        'dark',
        primary_dark,
        on_primary_dark,
        [
          [20, 23, 29],
          [37, 42, 52],
        ],
        WHITE,
      );
      set('--radius', typeof theme.radius === 'number' ? `${theme.radius}px` : theme.radius || '18px');
      set(
        '--font',
        `${theme.font ? `${theme.font}, ` : ''}Inter, "SF Pro Text", -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, system-ui, sans-serif`,
      );
      this.face.textContent = initials(name).slice(0, 1);
      this.heading.textContent = theme.title ?? name;
      const first = customer?.name?.trim().split(/\s+/)[0];
      this.hello.textContent = first ? `Hi ${first}, how can we help?` : 'How can we help?';
      this.about.textContent = theme.subtitle ?? greeting ?? '';
      this.clip.hidden = !this.chat.info.upload;
      if (this.chat.info.upload) this.picker.accept = this.chat.info.upload.media_types.join(',');
    }

    // -- open and close

    open({ focus = true } = {}) {
      if (this.isOpen) return;
      this.isOpen = true;
      perTab.set(this.openKey, true);
      this.opener = document.activeElement;
      this.root.classList.add('open');
      this.panel.inert = false;
      this.launcher.setAttribute('aria-expanded', 'true');
      this.nudge.hidden = true;
      this.fit();
      this.chat.ensure().catch(() => {});
      this.typed();
      this.chat.changed();
      this.render();
      this.toEnd();
      if (focus) (touch.matches ? this.panel : this.input).focus({ preventScroll: true });
    }

    close() {
      if (!this.isOpen) return;
      this.isOpen = false;
      perTab.set(this.openKey, null);
      const inside = this.shadowRoot.activeElement;
      this.root.classList.remove('open');
      this.panel.inert = true;
      this.launcher.setAttribute('aria-expanded', 'false');
      this.fit();
      this.render();
      if (!inside && document.activeElement !== document.body) return;
      const back = this.opener;
      if (back && back !== this && back !== document.body && back.isConnected) back.focus({ preventScroll: true });
      else this.launcher.focus({ preventScroll: true });
    }

    toggle() {
      if (this.isOpen) this.close();
      else this.open();
    }

    /** Show a message that arrives while the panel is closed. */
    arrived({ name, text, attachments }) {
      if (this.isOpen) {
        this.jump.hidden = this.stuck || this.atEnd();
        return;
      }
      this.nudge.replaceChildren(
        h(
          'button',
          { class: 'read', type: 'button', onclick: () => this.open() },
          h('b', {}, name || this.chat.info.name),
          h('span', { class: 'words', dir: 'auto' }, text || attachments[0]?.name || 'Sent you a file'),
        ),
        iconButton('close', 'Dismiss this preview', () => {
          this.nudge.hidden = true;
          this.launcher.focus();
        }),
      );
      this.nudge.hidden = false;
    }

    connection(lost) {
      const { contacts } = this.chat.info ?? {};
      const email = typeof contacts?.email === 'string' ? contacts.email : null;
      this.root.classList.toggle('lost', lost);
      this.banner.classList.toggle('good', !lost);
      clearTimeout(this.bannerTimer);
      if (!lost) {
        if (this.banner.hidden) return;
        this.banner.replaceChildren('You are connected again.');
        this.bannerTimer = setTimeout(() => (this.banner.hidden = true), 2500);
        return;
      }
      const words = navigator.onLine
        ? 'Connection lost. Trying to reconnect…'
        : 'You are offline. What you write is sent when you are back.';
      this.banner.replaceChildren(h('div', { class: 'spin', 'aria-hidden': 'true' }), h('span', {}, words));
      this.banner.hidden = false;
      if (email) {
        this.bannerTimer = setTimeout(
          () =>
            this.banner.lastChild.append(' You can also write to ', h('a', { href: `mailto:${email}` }, email), '.'),
          20_000,
        );
      }
    }

    alert(text) {
      this.alertText.textContent = text;
      this.alertBox.hidden = !text;
    }

    wipe() {
      this.input.value = '';
      this.files = [];
      this.sendWhenUploaded = false;
      perTab.set(this.draftKey, null);
      this.nudge.hidden = true;
      this.nudge.replaceChildren();
      this.jump.hidden = true;
      this.alert('');
      this.log.replaceChildren();
      this.nodes.clear();
      this.theme();
      this.typed();
      this.renderTray();
    }

    // -- composer

    typed() {
      const { value } = this.input;
      perTab.set(this.draftKey, value || null);
      this.input.style.setProperty('height', '44px');
      this.input.style.setProperty('height', `${Math.min(148, Math.max(44, this.input.scrollHeight))}px`);
      const length = value.length > COUNTER_FROM ? [...value.trim()].length : value.trim().length;
      const over = length > TEXT_LIMIT;
      const left = TEXT_LIMIT - length;
      const sentence = over
        ? `Your message has ${plural(length, 'character', 'characters')}; up to 4,000 can be sent at once. ` +
          'Please shorten it or send it in parts.'
        : `${plural(left, 'character', 'characters')} left`;
      this.counter.hidden = length <= COUNTER_FROM;
      this.counter.textContent = this.counter.hidden ? '' : sentence;
      this.counter.classList.toggle('bad', over);
      if (over !== this.wasOver) this.counterLive.textContent = over ? sentence : '';
      this.wasOver = over;
      this.input.setAttribute('aria-invalid', String(over));
      const ready = this.files.some(({ state }) => state !== 'failed') || length > 0;
      this.sendButton.setAttribute('aria-disabled', String(!ready || over));
      return { length, over };
    }

    submit() {
      const { over } = this.typed();
      if (over) return this.input.focus();
      if (this.files.some(({ state }) => state === 'uploading')) {
        this.sendWhenUploaded = true;
        return this.renderTray();
      }
      this.sendWhenUploaded = false;
      const text = this.input.value.replace(/\r\n?/g, '\n').trim();
      const ready = this.files.filter(({ state }) => state === 'ready').map(({ info }) => info);
      if (!text && !ready.length) return;
      this.alert('');
      this.stuck = true;
      if (text) this.chat.send({ text });
      if (ready.length) this.chat.send({ files: ready.map(({ id }) => id), attachments: ready });
      this.input.value = '';
      this.files = this.files.filter(({ state }) => state !== 'ready');
      this.renderTray();
      this.typed();
      if (this.shadowRoot.activeElement === this.sendButton && !touch.matches) this.input.focus();
    }

    addFiles(list) {
      const { upload } = this.chat.info;
      if (!upload) return;
      const refused = [];
      for (const file of list) {
        const kind = file.type.split(';')[0];
        const allowed =
          !kind ||
          upload.media_types.some(
            (type) => type === kind || (type.endsWith('/*') && kind.startsWith(type.slice(0, -1))),
          );
        if (this.files.length >= upload.max_files) {
          refused.push(
            `You can send up to ${plural(upload.max_files, 'file', 'files')} at a time. Send these first, then attach “${file.name}”.`,
          );
          break;
        }
        if (!allowed)
          refused.push(
            `“${file.name}” cannot be attached. These kinds of file can: ${listed(upload.media_types.map(typeName))}.`,
          );
        else if (file.size > upload.max_bytes)
          refused.push(`“${file.name}” is ${fileSize(file.size)}. Files can have up to ${fileSize(upload.max_bytes)}.`);
        else if (file.size === 0) refused.push(`“${file.name}” is empty.`);
        else this.startUpload({ file });
      }
      this.alert(refused.join(' '));
      this.input.focus();
    }

    async startUpload(entry) {
      if (!this.files.includes(entry)) this.files.push(entry);
      Object.assign(entry, { state: 'uploading', error: '' });
      this.renderTray();
      try {
        const info = await this.chat.upload(entry.file, () => this.files.includes(entry));
        if (info) Object.assign(entry, { state: 'ready', info });
        else this.files = this.files.filter((other) => other !== entry);
      } catch (problem) {
        Object.assign(entry, { state: 'failed', error: problem.detail, final: !problem.passing });
        this.sendWhenUploaded = false;
      }
      this.renderTray();
      if (this.sendWhenUploaded && !this.files.some(({ state }) => state === 'uploading')) this.submit();
    }

    renderTray() {
      this.tray.hidden = !this.files.length;
      this.tray.replaceChildren(
        ...this.files.map((entry) => {
          const { file, state, error, final } = entry;
          const remove = () => {
            this.files = this.files.filter((other) => other !== entry);
            this.renderTray();
            this.input.focus();
          };
          const words = {
            uploading: this.sendWhenUploaded ? 'Uploading, then sending…' : 'Uploading…',
            ready: fileSize(file.size),
            failed: error,
          }[state];
          return h(
            'div',
            { class: `chip ${state === 'failed' ? 'bad' : ''}` },
            state === 'uploading' ? h('div', { class: 'spin', 'aria-hidden': 'true' }) : icon('file'),
            h(
              'div',
              {},
              h('div', { class: 'file', title: file.name }, file.name),
              h('small', { role: state === 'failed' && 'alert' }, words),
            ),
            state === 'failed' &&
              !final &&
              h(
                'button',
                {
                  type: 'button',
                  class: 'icon',
                  'aria-label': `Upload ${file.name} again`,
                  onclick: () => this.startUpload(entry),
                },
                '↻',
              ),
            iconButton('close', `Remove ${file.name}`, remove),
          );
        }),
      );
      this.typed();
    }

    // -- conversation

    atEnd() {
      const { scrollHeight, scrollTop, clientHeight } = this.scroller;
      return scrollHeight - scrollTop - clientHeight < 60;
    }

    toEnd(smooth = false) {
      this.stuck = true;
      this.jump.hidden = true;
      this.scroller.scrollTo({
        top: this.scroller.scrollHeight,
        behavior: smooth && !matchMedia('(prefers-reduced-motion: reduce)').matches ? 'smooth' : 'instant',
      });
    }

    /** A queued message became a stored one: the node on the screen goes on as that message. */
    settled(item, { seq }) {
      const node = this.nodes.get(item.client_id);
      if (!node) return;
      this.nodes.delete(item.client_id);
      if (this.nodes.has(`s${seq}`)) node.remove();
      else this.nodes.set(`s${seq}`, node);
    }

    render() {
      const { chat } = this;
      const { unread, owner, token, typing } = chat;
      this.badge.hidden = unread === 0 || this.isOpen;
      this.badge.textContent = unread > 9 ? '9+' : String(unread);
      this.launcher.setAttribute(
        'aria-label',
        this.isOpen
          ? 'Close chat'
          : `Open chat${unread ? `, ${plural(unread, 'unread message', 'unread messages')}` : ''}`,
      );
      this.status.dataset.owner = owner;
      const said = (author) => [...chat.messages.values()].reverse().find((m) => m.author === author && m.name)?.name;
      const agent = owner === 'human' && (chat.people.agent ?? said('agent'));
      const waitsAt = owner === 'queued' && chat.people.position;
      this.statusText.textContent = agent
        ? `You are talking with ${agent}`
        : waitsAt
          ? `Waiting for a person: number ${waitsAt}`
          : (STATUS[owner] ?? STATUS.bot);
      this.input.placeholder = owner === 'closed' ? 'Write to start again' : 'Write a message';
      this.intro.querySelector('small').hidden = owner !== 'bot';
      const greeted = [...chat.messages.values()].some(({ text }) => text === this.about.textContent);
      this.about.hidden = greeted; // a greeting that opens the conversation is not said twice

      const entries = this.plan();
      const keys = new Set(entries.map(({ key }) => key));
      for (const [key, node] of this.nodes) {
        if (keys.has(key)) continue;
        node.remove();
        this.nodes.delete(key);
      }
      let place = this.log.firstChild;
      for (const entry of entries) {
        let node = this.nodes.get(entry.key);
        if (!node || (node.shown !== undefined && node.shown !== this.signature(entry))) {
          const fresh = this.create(entry);
          if (node && node === place) place = node.nextSibling;
          node?.remove();
          node = fresh;
          this.nodes.set(entry.key, node);
        }
        if (node === place) place = place.nextSibling;
        else this.log.insertBefore(node, place);
        this.update(node, entry);
      }
      this.dots.hidden = !typing;
      this.dots.querySelector('.sr').textContent =
        typing === 'agent' ? `${agent || 'A person'} is typing` : 'The assistant is typing';
      this.waiting.hidden = Boolean(token) || !this.isOpen || entries.length > 0;
      if (this.stuck && this.isOpen) this.toEnd();
      if (token && this.liveFor !== chat.conversation) {
        this.liveFor = chat.conversation; // history is not read out, what comes after it is
        this.log.setAttribute('aria-live', 'off');
        setTimeout(() => this.log.setAttribute('aria-live', 'polite'), 600);
      }
    }

    signature({ text, attachments = [] }) {
      return JSON.stringify([text, attachments.map(({ id, url }) => [id, url])]);
    }

    /** What to show, in order: days, notices and messages, each knowing its neighbours. */
    plan() {
      const { chat } = this;
      const plan = [];
      const notices = [...chat.notices];
      const entries = chat.entries();
      let answered = null; // the customer's next entry after this one
      let offered = false; // buttons further down
      let unsent = false;
      for (const entry of [...entries].reverse()) {
        const mine = entry.author === 'customer';
        const chose = ({ id, title }) =>
          answered.item?.button ? answered.item.button === id : answered.text === title;
        entry.stale = Boolean(answered) || offered;
        entry.chosen = answered && entry.buttons.find(chose)?.id;
        entry.delivered = mine && !entry.item && !unsent && !answered;
        offered ||= entry.buttons.length > 0;
        unsent ||= Boolean(entry.item);
        if (mine && entry.item?.state !== 'rejected') answered = entry;
      }
      let day = '';
      for (const entry of entries) {
        while (notices.length && notices[0].after < (entry.seq ?? Infinity))
          plan.push({ ...notices.shift(), notice: true });
        const date = new Date(entry.at);
        const title = dayName(date);
        if (title !== day) plan.push({ key: `day ${title}`, day: title });
        day = title;
        plan.push({ ...entry, date, kind: entry.author });
      }
      notices.forEach((notice) => plan.push({ ...notice, notice: true }));
      plan.forEach((entry, index) => {
        if (!entry.kind) return Object.assign(entry, { key: entry.key ?? entry.id });
        const together = (other) =>
          other?.kind === entry.kind && other.name === entry.name && Math.abs(other.date - entry.date) < 300_000;
        const next = plan[index + 1];
        return Object.assign(entry, { first: !together(plan[index - 1]), last: !together(next) });
      });
      return plan;
    }

    create(entry) {
      if (entry.day) return h('div', { class: 'day' }, entry.day);
      if (entry.notice) return h('div', { class: 'note' }, entry.text);
      if (entry.kind === 'system') {
        const node = h('div', { class: 'note', dir: 'auto' }, ...formatted(entry.text));
        if (entry.buttons.length) node.append(this.choices(entry));
        node.shown = this.signature(entry);
        return node;
      }
      const mine = entry.kind === 'customer';
      const name = entry.name || (mine ? 'You' : this.chat.info.name);
      const node = h('div', {
        class: `msg ${mine ? 'mine' : entry.kind}${this.liveFor === this.chat.conversation && this.isOpen ? ' fresh' : ''}`,
      });
      const words = formatted(entry.text ?? '');
      if (!mine)
        node.append(
          h(
            'span',
            { class: `face ${entry.kind}`, 'aria-hidden': 'true' },
            entry.kind === 'agent' ? initials(name) : initials(this.chat.info.name).slice(0, 1),
          ),
        );
      node.append(
        h(
          'div',
          { class: 'stack' },
          mine ? h('span', { class: 'sr' }, 'You:') : h('span', { class: 'name' }, name),
          !mine && h('span', { class: 'sr again' }, `${name}:`),
          words.length > 0 && h('div', { class: 'bubble', dir: 'auto', title: full.format(entry.date) }, ...words),
          ...entry.attachments.map((file) => this.attachment(file)),
          entry.buttons.length > 0 && this.choices(entry),
        ),
      );
      node.append(h('div', { class: 'meta' }));
      node.shown = this.signature(entry);
      return node;
    }

    choices({ buttons }) {
      return h(
        'div',
        { class: 'choices', role: 'group', 'aria-label': 'Suggested answers' },
        ...buttons.map((button) => this.choice(button)),
      );
    }

    choice({ id, title }) {
      const press = (event) => {
        this.stuck = true;
        this.alert('');
        this.chat.send({ button: id, label: title });
        if (event.detail === 0 || !touch.matches) this.input.focus({ preventScroll: true });
      };
      const button = h('button', { type: 'button', dir: 'auto', onclick: press }, title);
      button.choice = id;
      return button;
    }

    attachment({ name, media_type: type, size, url }) {
      const href = url && webAddress(url);
      const about = [typeName(type), size && fileSize(size)].filter(Boolean).join(', ');
      const link = { href, target: '_blank', rel: 'noopener noreferrer' };
      const card = () =>
        h(
          href ? 'a' : 'div',
          { class: 'card', ...(href && link) },
          h('span', { class: 'tile', 'aria-hidden': 'true' }, icon('file')),
          h(
            'span',
            { class: 'label' },
            h('b', {}, name),
            h('small', {}, about.charAt(0).toUpperCase() + about.slice(1)),
          ),
          href && icon('open'),
          href && h('span', { class: 'sr' }, '(opens in a new tab)'),
        );
      if (!href || !/^image\/(png|jpeg|gif|webp|avif)$/.test(type)) return card();
      const picture = h(
        'a',
        { class: 'picture', ...link },
        h('img', {
          src: href,
          alt: name,
          loading: 'lazy',
          decoding: 'async',
          referrerpolicy: 'no-referrer',
          onerror: () => picture.replaceWith(card()),
        }),
        h('span', { class: 'sr' }, '(opens in a new tab)'),
      );
      return picture;
    }

    settleChoices(node, entry) {
      for (const button of node.querySelectorAll('.choices button')) {
        button.disabled = entry.stale;
        button.classList.toggle('chosen', entry.stale && button.choice === entry.chosen);
        if (entry.stale) button.setAttribute('aria-pressed', String(button.choice === entry.chosen));
        else button.removeAttribute('aria-pressed');
      }
    }

    update(node, entry) {
      if (!entry.kind) return;
      this.settleChoices(node, entry);
      if (entry.kind === 'system') return;
      const { item } = entry;
      node.classList.toggle('first', entry.first);
      node.classList.toggle('last', entry.last);
      const again = node.querySelector('.again');
      if (again) again.hidden = entry.first;
      const meta = node.querySelector('.meta');
      const mark = entry.delivered && (entry.seq <= (this.chat.people.agent_read ?? 0) ? 'Read' : 'Delivered');
      const state = [item?.state, item?.error, entry.last, mark].join('|');
      if (meta.state === state) return;
      meta.state = state;
      const action = (label, onclick) => h('button', { type: 'button', onclick }, label);
      const time = h('time', { datetime: entry.at, title: full.format(entry.date) }, clock.format(entry.date));
      if (!item) {
        meta.hidden = !entry.last && !entry.delivered;
        meta.replaceChildren(
          time,
          ...(entry.delivered ? [h('span', { 'aria-hidden': 'true' }, '·'), h('span', {}, mark)] : []),
        );
        return;
      }
      meta.hidden = false;
      const why = item.error ? ` ${item.error}` : '';
      if (item.state === 'sending') meta.replaceChildren(h('span', { class: 'slow' }, 'Sending…'));
      else if (item.state === 'retrying')
        meta.replaceChildren(
          h('span', { class: 'bad' }, `Not sent yet, trying again…${why}`),
          action('Retry now', () => this.chat.retry(item)),
        );
      else if (item.state === 'failed')
        meta.replaceChildren(
          h('span', { class: 'bad' }, `Not sent.${why}`),
          action('Retry', () => this.chat.retry(item)),
          action('Delete', () => this.discard(item)),
        );
      else
        meta.replaceChildren(
          h('span', { class: 'bad' }, `Not sent.${why}`),
          ...(item.text ? [action('Edit', () => this.edit(item))] : []),
          action('Delete', () => this.discard(item)),
        );
    }

    discard(item) {
      this.chat.drop(item);
      this.input.focus();
    }

    edit(item) {
      this.input.value = [item.text, this.input.value].filter(Boolean).join('\n');
      this.discard(item);
      this.typed();
    }
  }

  if (!customElements.get('support-bot')) customElements.define('support-bot', SupportBotElement);

  // --------------------------------------------------------------------------- window.SupportBot

  const handlers = { ready: new Set(), message: new Set(), unread: new Set(), error: new Set() };
  let chat = null;
  let early = [];

  const emit = (name, value) =>
    handlers[name].forEach((handler) => {
      try {
        handler(
          value instanceof Problem
            ? { type: value.type, title: value.title, detail: value.detail, status: value.status }
            : value,
        );
      } catch (error) {
        setTimeout(() => {
          throw error;
        }); // the host page's bug: its console, not our flow
      }
    });

  const whenReady = (action) => {
    if (chat?.view) action();
    else early.push(action);
  };

  const unmount = () => {
    if (!chat) return;
    chat.end();
    chat.view?.remove();
    chat = null;
  };

  const pageLoaded = () =>
    new Promise((resolve) => {
      if (document.body && document.readyState !== 'loading') resolve();
      else document.addEventListener('DOMContentLoaded', resolve, { once: true });
    });

  const api = {
    /** Show the widget for a brand. Resolves when the launcher is there; calls made before that wait for it. */
    async boot({ brand = SCRIPT?.dataset.brand, identity } = {}) {
      if (!brand) throw new TypeError('SupportBot.boot needs a brand, for instance { brand: "joltsms" }.');
      if (chat?.brand === brand) {
        if (identity !== undefined) api.setIdentity(identity);
        return;
      }
      unmount();
      const mine = (chat = new Chat({ brand, identity: identity ?? null, emit }));
      await pageLoaded();
      try {
        await mine.load();
      } catch (problem) {
        if (mine === chat) unmount();
        emit('error', problem);
        return;
      }
      if (mine !== chat) return;
      const view = document.createElement('support-bot');
      view.attach(mine);
      document.body.append(view);
      view.theme();
      view.render();
      const actions = early;
      early = [];
      actions.forEach((action) => action());
      if (perTab.get(view.openKey) && !fullScreen.matches) view.open({ focus: false });
      if (!mine.session && mine.hasStoredSession()) mine.ensure().catch(() => {});
      emit('ready', { brand: mine.info });
    },

    /** Remove the widget and forget its sessions on this device: for the host page's sign-out. */
    shutdown() {
      early = [];
      if (!chat) return;
      const { key } = chat;
      unmount();
      lasting.set(key, null);
      perTab.set(`${key}:open`, null);
      perTab.set(`${key}:draft`, null);
    },

    show: () => whenReady(() => chat.view.open()),
    hide: () => whenReady(() => chat.view.close()),

    /** A JWT signed by the host site, a function that returns (a promise of) one, or null for a sign-out. */
    setIdentity: (identity) => whenReady(() => chat.setIdentity(identity)),

    /** Returns a function that ends the subscription. */
    on(name, handler) {
      if (!handlers[name])
        throw new TypeError(`SupportBot has no event "${name}"; it has ready, message, unread and error.`);
      handlers[name].add(handler);
      return () => handlers[name].delete(handler);
    },

    /** The form that also works before this script has loaded: (window.SupportBot ??= []).push(['show']). */
    push: (...calls) => calls.forEach(([name, ...args]) => api[name](...args)),
  };

  const waiting = Array.isArray(window.SupportBot) ? window.SupportBot : [];
  window.SupportBot = Object.freeze(api);
  api.push(...waiting);
  if (SCRIPT?.dataset.brand && !chat) api.boot();
})();

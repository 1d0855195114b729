/**
 * interactd.js - an agent's screen pops, state and calls in a web page.
 *
 * ```js
 * import { connect } from "https://calls.example.com/interactd.js";
 * const agent = connect({ agent: "1001", token });
 * agent.onPop((pop, open) => show(open));
 * await agent.setState("paused", { reason: "lunch" });
 * await agent.dial("0912 345 678");
 * ```
 *
 * It keeps the connection: over a restart of the daemon, of Redis, a lost network or a
 * laptop that slept it connects again, catches up by `seq`, and closes what ended
 * meanwhile; a stale pop is never shown. Where a proxy breaks WebSockets it uses
 * Server-Sent Events. No dependencies. The page's origin must be in `[http] origins`
 * unless the daemon serves the page itself.
 *
 * @module interactd
 */

/**
 * @typedef {"claimed"|"recorded"|"network"|"verified"} Trust
 * How sure it is that an address belongs to whom it says.
 *
 * @typedef {object} Identity
 * @property {string} kind      `phone`, `email`, `external`, …
 * @property {string} value     `+8613800138000`
 * @property {Trust} trust
 *
 * @typedef {object} Contact
 * @property {string} id
 * @property {string|null} name  null: nobody has named them yet
 * @property {string[]} roles
 * @property {string|null} language
 * @property {string|null} timezone
 * @property {boolean} vip
 * @property {Identity[]} identities
 * @property {{preferred: string[], denied: object[]}} preferences
 * @property {Record<string, unknown>} attributes
 *
 * @typedef {object} Pop
 * @property {"pop.open"|"pop.update"|"pop.close"} type
 * @property {string} pop          its id, the same from open to close
 * @property {string} epoch        changes when Redis has lost its data
 * @property {number} seq          rises by one per agent
 * @property {string} at           RFC 3339
 * @property {string} interaction  id of the timeline's entry
 * @property {string} channel
 * @property {string} kind         `call`, …
 * @property {"in"|"out"} direction
 * @property {string} state        `ringing`, `talking`, `held`, `wrapup`, `ended`, …
 * @property {string|null} reason  of a close: `completed`, `answered_elsewhere`, …
 * @property {string|null} queue
 * @property {number|null} waited_ms
 * @property {{kind: string, value: string|null, display: string|null, withheld: boolean, trust: Trust}} remote
 * @property {string|null} local
 * @property {Record<string, string>} variables
 * @property {Contact|null} contact    null: withheld, shared, or not known yet
 * @property {Contact[]} candidates    who shares the address
 * @property {object[]} recent         what happened last, newest first
 * @property {boolean} degraded        true: the database did not answer in time; an update follows
 *
 * @typedef {"available"|"paused"|"wrapup"|"offline"} StateName
 *
 * @typedef {object} AgentState
 * @property {StateName} state
 * @property {string|null} reason
 * @property {string} since
 * @property {string|null} until     of wrapup
 * @property {boolean} on_call
 *
 * @typedef {"connecting"|"online"|"offline"|"refused"|"closed"} Connection
 * `refused`: the token is wrong or has ended, and there is no newer one.
 *
 * @typedef {object} Options
 * @property {string} agent                                 the agent's id
 * @property {string|(() => string|Promise<string>)} token  a token of that agent, or who gives one
 * @property {string} [url]         the daemon; default: where this module came from
 * @property {typeof fetch} [fetch]
 * @property {typeof WebSocket|null} [WebSocket]  null: Server-Sent Events only
 * @property {number} [statePollMs]  how often the state is asked for; default 5000, 0 = never
 */

const RETRY_MIN_MS = 250;
const RETRY_MAX_MS = 4000;
const OPEN_TIMEOUT_MS = 10000;
/** After so many WebSockets that never opened, Server-Sent Events are tried in turn. */
const WEBSOCKET_TRIES = 2;

/** What the daemon refused: an RFC 9457 problem document. */
export class InteractdError extends Error {
  /**
   * @param {number} status   HTTP's; 0 = the daemon could not be reached
   * @param {Record<string, any>} problem
   */
  constructor(status, problem) {
    super(problem.detail || problem.title || `interactd answered ${status}`);
    this.name = "InteractdError";
    this.status = status;
    /** Its members: `detail`, `reason`, … */
    this.problem = problem;
  }
}

/**
 * Connects, and stays connected until `close()`.
 * @param {Options} options
 * @returns {Agent}
 */
export function connect(options) {
  return new Agent(options);
}

/** An agent's connection. Made by {@link connect}. */
export class Agent {
  /** @param {Options} options */
  constructor(options) {
    if (!options || !/^[A-Za-z0-9._-]{1,64}$/.test(options.agent || "")) {
      throw new TypeError("connect: agent is 1 to 64 letters, digits, '.', '_' or '-'");
    }
    if (!options.token) throw new TypeError("connect: a token is missing");
    /** @readonly */
    this.id = options.agent;
    /** The pops open now, by id, each as it was told last. @type {Map<string, Pop>} */
    this.pops = new Map();
    /** @type {Connection} */
    this.connection = "connecting";
    /** As it was told last; null until then. @type {AgentState|null} */
    this.state = null;

    this._options = options;
    this._base = new URL(options.url || new URL("/", import.meta.url)).href.replace(/\/$/, "");
    this._fetch = options.fetch || globalThis.fetch.bind(globalThis);
    this._WebSocket = options.WebSocket === undefined ? globalThis.WebSocket : options.WebSocket;
    this._token = "";
    this._seq = 0;
    this._epoch = "";
    this._attempt = 0;
    this._unopened = 0;
    /** @type {{close: () => void}|null} */
    this._stream = null;
    /** @type {Map<string, Set<Function>>} */
    this._listeners = new Map();
    this._timer = 0;
    this._poll = 0;
    this._wake = () => this._connectSoon(0);
    globalThis.addEventListener?.("online", this._wake);
    queueMicrotask(() => this._connect());
  }

  // ---- What a page listens to. Each returns a function that ends it.

  /**
   * Every change of a pop: `fn(pop, open)` with the pop as it is now and all open pops.
   * `pop.type` says what happened; a pop that ended unseen is told as `pop.close` too.
   * @param {(pop: Pop, open: Pop[]) => void} fn
   */
  onPop(fn) {
    return this._on("pop", fn);
  }

  /** @param {(state: AgentState) => void} fn */
  onState(fn) {
    return this._on("state", fn);
  }

  /** @param {(connection: Connection, why: string) => void} fn */
  onConnection(fn) {
    return this._on("connection", fn);
  }

  // ---- What a page asks for. Each fails with an InteractdError.

  /**
   * @param {StateName} state
   * @param {{reason?: string, until?: string|Date}} [more]
   * @returns {Promise<AgentState>}
   */
  async setState(state, more = {}) {
    const until = more.until instanceof Date ? more.until.toISOString() : more.until;
    const body = { state, ...(more.reason && { reason: more.reason }), ...(until && { until }) };
    this._setState(await this.request("PUT", `/v1/agents/${this.id}/state`, body));
    return /** @type {AgentState} */ (this.state);
  }

  /**
   * Calls a number: this agent's phone rings first, then the number is called. The call
   * then comes as a pop whose `interaction` is the answer's `id`.
   * @param {string} number  as people write it
   * @param {{channel?: string}} [more]
   * @returns {Promise<{id: string, agent: string, to: string, channel: string, state: string}>}
   */
  dial(number, more = {}) {
    const key = globalThis.crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`;
    return this.request("POST", "/v1/calls", { agent: this.id, to: number, ...more }, {
      "Idempotency-Key": key,
    });
  }

  /**
   * A contact's timeline, newest first.
   * @param {string} contact
   * @param {{limit?: number, before?: string, kind?: string}} [more]
   * @returns {Promise<{items: object[], next: string|null}>}
   */
  timeline(contact, more = {}) {
    const query = new URLSearchParams(
      Object.entries(more).filter(([, v]) => v !== undefined).map(([k, v]) => [k, String(v)]),
    );
    return this.request("GET", `/v1/contacts/${encodeURIComponent(contact)}/timeline?${query}`);
  }

  /**
   * Any other request of the HTTP API, with this agent's token.
   * @param {string} method
   * @param {string} path      `/v1/…`
   * @param {object} [body]
   * @param {Record<string, string>} [headers]
   * @returns {Promise<any>}
   */
  async request(method, path, body, headers = {}) {
    let answer = await this._send(method, path, body, headers);
    if (answer.status === 401 && typeof this._options.token === "function") {
      this._token = "";
      answer = await this._send(method, path, body, headers);
    }
    const text = await answer.text();
    let value = null;
    try {
      value = text ? JSON.parse(text) : null;
    } catch {
      throw new InteractdError(answer.status, { title: "this is not interactd" });
    }
    if (!answer.ok) throw new InteractdError(answer.status, value || {});
    return value;
  }

  /** Ends the connection. The pops stay as they are. */
  close() {
    this._setConnection("closed", "");
    globalThis.removeEventListener?.("online", this._wake);
    clearTimeout(this._timer);
    clearTimeout(this._poll);
    this._dropStream();
  }

  // ---- Listeners

  /** @param {string} what @param {Function} fn */
  _on(what, fn) {
    const set = this._listeners.get(what) ?? new Set();
    this._listeners.set(what, set.add(fn));
    return () => void set.delete(fn);
  }

  /** A listener that fails is the page's bug: it must not stop the others, nor us.
   * @param {string} what @param {...unknown} args */
  _tell(what, ...args) {
    for (const fn of this._listeners.get(what) ?? []) {
      try {
        fn(...args);
      } catch (error) {
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }

  /** @param {Connection} next @param {string} why */
  _setConnection(next, why) {
    if (this.connection === next || this.connection === "closed") return;
    this.connection = next;
    this._tell("connection", next, why);
  }

  /** @param {AgentState} next */
  _setState(next) {
    if (!next?.state || JSON.stringify(next) === JSON.stringify(this.state)) return;
    this.state = next;
    this._tell("state", next);
  }

  // ---- Requests

  /** @param {string} method @param {string} path @param {object|undefined} body
   * @param {Record<string, string>} headers */
  async _send(method, path, body, headers) {
    if (!this._token) {
      const given = this._options.token;
      this._token = typeof given === "function" ? await given() : given;
    }
    try {
      return await this._fetch(this._base + path, {
        method,
        cache: "no-store",
        credentials: "omit",
        headers: {
          Authorization: `Bearer ${this._token}`,
          ...(body && { "Content-Type": "application/json" }),
          ...headers,
        },
        body: body && JSON.stringify(body),
        signal: AbortSignal.timeout(OPEN_TIMEOUT_MS),
      });
    } catch (error) {
      throw new InteractdError(0, { title: `${this._base} cannot be reached (${error})` });
    }
  }

  // ---- Connection

  /** @param {number} ms */
  _connectSoon(ms) {
    if (this._stream || this.connection === "closed") return;
    clearTimeout(this._timer);
    this._timer = setTimeout(() => this._connect(), ms);
  }

  /** The open pops first: that says whether the token is good, and what is shown in
   * vain; then the stream, from the last seq on. */
  async _connect() {
    if (this._stream || this.connection === "closed") return;
    const stream = (this._stream = { close() {} });
    try {
      await this._compare();
      if (this._stream !== stream) return;
      if (this._WebSocket && this._unopened % (WEBSOCKET_TRIES + 1) < WEBSOCKET_TRIES) {
        this._openWebSocket(this._WebSocket);
      } else {
        await this._openEvents(stream);
      }
    } catch (error) {
      if (this._stream === stream) this._lost(/** @type {Error} */ (error));
    }
  }

  /** @param {Error} error */
  _lost(error) {
    this._dropStream();
    if (this.connection === "closed") return;
    const status = error instanceof InteractdError ? error.status : 0;
    if ((status === 401 || status === 403) && typeof this._options.token !== "function") {
      this._setConnection("refused", error.message);
      return;
    }
    if (status === 401) this._token = "";
    this._setConnection("offline", error.message);
    const cap = Math.min(RETRY_MAX_MS, RETRY_MIN_MS * 2 ** this._attempt++);
    this._connectSoon(cap * (0.5 + Math.random() / 2));
  }

  _dropStream() {
    const stream = this._stream;
    this._stream = null;
    clearTimeout(this._poll);
    stream?.close();
  }

  _opened() {
    this._attempt = 0;
    this._unopened = 0;
    this._setConnection("online", "");
    this._pollState();
  }

  /** @param {typeof WebSocket} Socket */
  _openWebSocket(Socket) {
    const url = `${this._base.replace(/^http/, "ws")}/v1/agents/${this.id}/stream?after=${this._seq}`;
    const socket = new Socket(url, ["interactd.v1", `bearer.${this._token}`]);
    const late = setTimeout(() => socket.close(), OPEN_TIMEOUT_MS);
    let opened = false;
    this._stream = { close: () => socket.close() };
    const stream = this._stream;
    socket.onopen = () => {
      clearTimeout(late);
      opened = true;
      if (this._stream === stream) this._opened();
    };
    socket.onmessage = (m) => {
      if (this._stream === stream) this._take(m.data);
    };
    socket.onclose = (c) => {
      clearTimeout(late);
      if (this._stream !== stream) return;
      if (!opened) this._unopened++;
      this._lost(new Error(c.reason || "the connection was lost"));
    };
  }

  /** EventSource cannot send a header, hence the one-time ticket. Its own reconnecting
   * would use the ticket twice, so it is not used.
   * @param {{close: () => void}} before */
  async _openEvents(before) {
    const path = `/v1/agents/${this.id}`;
    const { ticket } = await this.request("POST", `${path}/tickets`);
    if (this._stream !== before) return;
    const query = new URLSearchParams({ ticket, after: String(this._seq) });
    const source = new EventSource(`${this._base}${path}/stream?${query}`);
    const stream = { close: () => source.close() };
    this._stream = stream;
    source.onopen = () => {
      if (this._stream === stream) this._opened();
    };
    source.onmessage = (m) => {
      if (this._stream === stream) this._take(m.data);
    };
    source.onerror = () => {
      source.close();
      if (this._stream !== stream) return;
      this._unopened++;
      this._lost(new Error("the connection was lost"));
    };
  }

  // ---- Pops

  /** @param {string} text */
  _take(text) {
    /** @type {Pop} */
    let pop;
    try {
      pop = JSON.parse(text);
    } catch {
      return;
    }
    if (!pop || !pop.pop || !/^pop\./.test(pop.type)) return;
    if (pop.epoch !== this._epoch) {
      this._epoch = pop.epoch;
      this._seq = 0;
      this._closeAll((shown) => shown.epoch !== pop.epoch && shown.pop !== pop.pop);
    }
    // The stream may begin with what is open, as it was told: seen is seen.
    const shown = this.pops.get(pop.pop);
    if (pop.seq > this._seq) this._seq = pop.seq;
    else if (!shown || shown.seq >= pop.seq) return;
    this._show(pop);
  }

  /** @param {Pop} pop */
  _show(pop) {
    if (pop.type === "pop.close") {
      if (!this.pops.delete(pop.pop)) return;
    } else {
      this.pops.set(pop.pop, pop);
    }
    this._tell("pop", pop, [...this.pops.values()]);
  }

  /** @param {(shown: Pop) => boolean} ended */
  _closeAll(ended) {
    for (const shown of [...this.pops.values()]) {
      if (ended(shown)) this._show({ ...shown, type: "pop.close", state: "ended" });
    }
  }

  /** Closes what ended while we were away, opens what began. */
  async _compare() {
    const { items } = await this.request("GET", `/v1/agents/${this.id}/pops`);
    const open = new Map(items.map((/** @type {Pop} */ p) => [p.pop, p]));
    this._closeAll((shown) => !open.has(shown.pop));
    for (const pop of items) {
      if (this._epoch !== pop.epoch) {
        this._epoch = pop.epoch;
        this._seq = 0;
      }
      const shown = this.pops.get(pop.pop);
      if (!shown || shown.seq !== pop.seq || shown.epoch !== pop.epoch) this._show(pop);
      this._seq = Math.max(this._seq, pop.seq);
    }
  }

  // ---- State

  async _pollState() {
    const every = this._options.statePollMs ?? 5000;
    clearTimeout(this._poll);
    if (!every || this.connection === "closed") return;
    try {
      this._setState(await this.request("GET", `/v1/agents/${this.id}/state`));
    } catch {
      // Said by the connection, if it lasts.
    }
    clearTimeout(this._poll);
    if (this._stream) this._poll = setTimeout(() => this._pollState(), every);
  }
}

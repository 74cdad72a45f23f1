/** Connections at a time, of all users: each costs a socket, and twice that with a tunnel. */
export const CONNECTIONS_MAX = 400;
/** Connections at a time which have not logged in: a flood of them leaves room for those who have. */
export const STRANGERS_MAX = 100;
/** The same from one address. A client with several keys in its agent may open one connection a key. */
export const STRANGERS_PER_ADDRESS_MAX = 20;
/** Connections of one user: clients that open one for each local connection and leave them to us. */
export const CONNECTIONS_PER_USER_MAX = 64;
/** Connections from one address that ended without a login, in one window: a key can't be guessed, but each guess costs a key exchange. */
export const FAILURES_PER_ADDRESS_MAX = 60;
export const FAILURE_WINDOW_MS = 60_000;
/** Addresses with failures that are remembered; the oldest goes first. */
const ADDRESSES_MAX = 10_000;

/** What one connection holds of the limits. */
export interface Place {
  /** Its user has logged in. False when that user has as many connections as one may have. */
  logIn(userId: string): boolean;
  /** It has ended. May be called twice. */
  leave(): void;
}

/** Counts connections, so that nobody keeps others out. Holds numbers only; `now` is in milliseconds. */
export class Admission {
  readonly #now: () => number;
  #connections = 0;
  #strangers = 0;
  readonly #strangersByAddress = new Map<string, number>();
  readonly #connectionsByUser = new Map<string, number>();
  readonly #failures = new Map<string, { count: number; since: number }>();

  constructor(now: () => number) {
    this.#now = now;
  }

  /** A place for a connection from this address; undefined when it is not to be taken. */
  enter(address: string): Place | undefined {
    if (this.#connections >= CONNECTIONS_MAX || this.#strangers >= STRANGERS_MAX) return undefined;
    if ((this.#strangersByAddress.get(address) ?? 0) >= STRANGERS_PER_ADDRESS_MAX) return undefined;
    if (this.#recentFailures(address) >= FAILURES_PER_ADDRESS_MAX) return undefined;
    this.#connections += 1;
    this.#countStranger(address, 1);
    let user: string | undefined;
    let left = false;
    return {
      logIn: (userId) => {
        if ((this.#connectionsByUser.get(userId) ?? 0) >= CONNECTIONS_PER_USER_MAX) return false;
        user = userId;
        this.#countStranger(address, -1);
        add(this.#connectionsByUser, userId, 1);
        return true;
      },
      leave: () => {
        if (left) return;
        left = true;
        this.#connections -= 1;
        if (user !== undefined) return add(this.#connectionsByUser, user, -1);
        this.#countStranger(address, -1);
        this.#noteFailure(address);
      },
    };
  }

  #countStranger(address: string, change: 1 | -1): void {
    this.#strangers += change;
    add(this.#strangersByAddress, address, change);
  }

  #recentFailures(address: string): number {
    const failures = this.#failures.get(address);
    return failures === undefined || this.#now() - failures.since > FAILURE_WINDOW_MS ? 0 : failures.count;
  }

  #noteFailure(address: string): void {
    const count = this.#recentFailures(address);
    const since = count === 0 ? this.#now() : (this.#failures.get(address)?.since ?? this.#now());
    if (count === 0) this.#failures.delete(address);
    this.#failures.set(address, { count: count + 1, since });
    const [oldest] = this.#failures.keys();
    if (this.#failures.size > ADDRESSES_MAX && oldest !== undefined) this.#failures.delete(oldest);
  }
}

/** Counts, without keeping a key whose count is 0. */
function add(counts: Map<string, number>, key: string, change: 1 | -1): void {
  const count = (counts.get(key) ?? 0) + change;
  if (count === 0) counts.delete(key);
  else counts.set(key, count);
}

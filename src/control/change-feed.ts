import { Client, type Notification } from "pg";
import type { Clock } from "../core/clock.ts";
import { asTidemarkError, TidemarkError } from "../core/errors.ts";
import type { Logger } from "../core/logger.ts";
import { repeat } from "../core/repeat.ts";
import { appsThatChangesAreToldOf } from "./access.ts";
import {
  type Change,
  type ChangeFollower,
  type ChangeService,
  CHANGE_TOPICS,
  type ChangeTopic,
} from "./change-service.ts";
import type { ControlDatabase } from "./database.ts";
import type { Principal } from "./model.ts";

/** What the triggers of the migration "0014-changes" send on. */
const CHANNEL = "tidemark_changes";
/** A listening connection that broke is made again after this. */
const RECONNECT_INTERVAL_MS = 1000;
/** How often the listening connection is asked whether it still is one: one that vanished would be silent for ever. */
const PROBE_INTERVAL_MS = 30_000;
const ANSWER_TIMEOUT_MS = 10_000;
/** Of one user. Browsers open six connections to a host: with more, what is left would be too few for requests. */
const FOLLOWERS_OF_USER_MAX = 4;
/** Of a process: each is an open connection and, while things change, two short statements a second. */
const FOLLOWERS_MAX = 200;
/** What one follower can have waiting; beyond that it is told that all has changed. */
const WAITING_MAX = 500;

interface FeedContext {
  readonly database: ControlDatabase;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** A notification, read. */
interface Announcement {
  readonly topic: ChangeTopic;
  readonly appId: string | null;
  readonly addonId: string | null;
  readonly userId: string | null;
}

/**
 * Hears of every change in the control database by one connection of this process, and passes each to all that follow. While that connection is broken
 * nobody follows: whoever did is told so, since it can have missed something.
 */
export class ChangeFeed implements ChangeService {
  readonly #context: FeedContext;
  readonly #followers = new Set<Follower>();
  readonly #closing = new AbortController();
  readonly #loop: Promise<void>;
  #isListening = false;

  constructor(context: FeedContext) {
    this.#context = context;
    const { clock, logger } = context;
    this.#loop = repeat(() => this.#listen(), {
      clock,
      intervalMs: RECONNECT_INTERVAL_MS,
      signal: this.#closing.signal,
      onFailure: (thrown) =>
        logger.warn({ error: asTidemarkError(thrown).message }, "changes are not heard of for now; tried again"),
    });
  }

  follow(principal: Principal): ChangeFollower {
    if (!this.#isListening) throw notListening();
    const ofUser = [...this.#followers].filter(({ userId }) => userId === principal.userId).length;
    if (ofUser >= FOLLOWERS_OF_USER_MAX || this.#followers.size >= FOLLOWERS_MAX)
      throw new TidemarkError("too_many_requests", "Changes are followed by as many as may already", {
        hint: "Ask for what you need now and then instead; closing another window makes room.",
      });
    const follower = new Follower(this.#context, principal.userId, () => this.#followers.delete(follower));
    this.#followers.add(follower);
    return follower;
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#loop;
  }

  /** Returns or throws when the connection has ended. */
  async #listen(): Promise<void> {
    const { database, clock } = this.#context;
    const client = new Client({
      ...database.connection,
      application_name: "tidemark changes",
      connectionTimeoutMillis: ANSWER_TIMEOUT_MS,
      query_timeout: ANSWER_TIMEOUT_MS,
      keepAlive: true,
    });
    const broken = new AbortController();
    // Without a listener an error would end the process.
    client.on("error", (error) => broken.abort(error));
    client.on("end", () => broken.abort(notListening()));
    client.on("notification", (notification) => this.#hear(notification));
    const signal = AbortSignal.any([broken.signal, this.#closing.signal]);
    try {
      await client.connect();
      await client.query(`listen ${CHANNEL}`);
      this.#isListening = true;
      while (!signal.aborted) {
        await clock.sleep(PROBE_INTERVAL_MS, signal);
        await client.query("select");
      }
    } finally {
      this.#isListening = false;
      for (const follower of this.#followers) follower.end();
      await client.end().catch(() => undefined);
    }
  }

  #hear({ payload = "" }: Notification): void {
    const announcement = parseAnnouncement(payload);
    if (announcement === undefined) return;
    for (const follower of this.#followers) follower.add(announcement);
  }
}

class Follower implements ChangeFollower {
  readonly userId: string;
  readonly #context: FeedContext;
  readonly #onClose: () => void;
  #waiting = new Map<string, Announcement>();
  #isOverflown = false;
  #isEnded = false;
  #wake = Promise.withResolvers<void>();

  constructor(context: FeedContext, userId: string, onClose: () => void) {
    this.#context = context;
    this.userId = userId;
    this.#onClose = onClose;
  }

  add(announcement: Announcement): void {
    const { topic, appId, addonId, userId } = announcement;
    if (this.#waiting.size < WAITING_MAX) this.#waiting.set(`${topic} ${appId} ${addonId} ${userId}`, announcement);
    else this.#isOverflown = true;
    this.#wake.resolve();
  }

  end(): void {
    this.#isEnded = true;
    this.#wake.resolve();
  }

  async wait({ timeoutMs, signal }: { timeoutMs: number; signal: AbortSignal }): Promise<void> {
    const done = new AbortController();
    const over = this.#context.clock.sleep(timeoutMs, AbortSignal.any([signal, done.signal])).catch(() => undefined);
    await Promise.race([this.#wake.promise, over]);
    done.abort();
    if (this.#isEnded) throw notListening();
  }

  async take(principal: Principal): Promise<"all" | readonly Change[]> {
    const waiting = [...this.#waiting.values()];
    const isOverflown = this.#isOverflown;
    this.#waiting = new Map();
    this.#isOverflown = false;
    if (!this.#isEnded) this.#wake = Promise.withResolvers();
    if (isOverflown) return "all";
    return await this.#visible(waiting, principal);
  }

  close(): void {
    this.#onClose();
  }

  /** Rights are asked for at each time, so that one that was lost or won counts from then on. */
  async #visible(announcements: readonly Announcement[], principal: Principal): Promise<Change[]> {
    const ids = announcements.flatMap(({ appId }) => appId ?? []);
    const names =
      ids.length === 0 ? new Map() : await appsThatChangesAreToldOf(this.#context.database.db, principal, ids);
    return announcements.flatMap(({ topic, appId, addonId, userId }): Change[] => {
      const name = appId === null ? undefined : names.get(appId);
      if (appId !== null) return name === undefined ? [] : [{ topic, app: { id: appId, name }, addonId }];
      const isOwn = userId === principal.userId || principal.isPlatformOwner;
      return isOwn ? [{ topic, app: null, addonId: null }] : [];
    });
  }
}

function parseAnnouncement(payload: string): Announcement | undefined {
  const [word, ...names] = payload.split(" ");
  const topic = CHANGE_TOPICS.find((each) => each === word);
  if (topic === undefined) return undefined;
  const [appId = null, addonId = null, userId = null] = names.map((name) => (name === "-" ? null : name));
  return { topic, appId, addonId, userId };
}

function notListening(): TidemarkError {
  return new TidemarkError("control_unavailable", "Changes can't be followed now", {
    hint: "They are again by themselves; try again in a few seconds.",
  });
}

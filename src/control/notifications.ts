import { asTidemarkError, TidemarkError } from "../core/errors.ts";
import { repeat } from "../core/repeat.ts";
import { type Channel, deliver, type Outside } from "../notify/channel.ts";
import type { Notice } from "../notify/notice.ts";
import type { ControlContext } from "./context.ts";
import { noticeOfEvent, testNotice } from "./notice-of-event.ts";
import { unwrapAddress } from "./notifier-address.ts";
import {
  type ClaimedDelivery,
  claimDelivery,
  type DeliveryEnd,
  endAttempt,
  routeEvents,
  tidyDeliveries,
} from "./notifier-deliveries.ts";
import { readRecipients } from "./notifier-rows.ts";

const TICK_MS = 1000;
const TIDY_INTERVAL_MS = 60_000;
/** Attempts at a time in one process: most of an attempt is waiting. */
const ATTEMPTS_AT_ONCE_MAX = 8;
/** Of one attempt in all: each channel's own limits come first. */
const ATTEMPT_TIMEOUT_MS = 90_000;

type NotifyingContext = Pick<ControlContext, "database" | "clock" | "logger" | "secrets">;

/**
 * Tells people what happened: asks notifiers about each new event, and delivers. Any number of processes may run one; what one that dies was about to
 * deliver is delivered by another, so a notice may come twice and says by its id that it does.
 */
export class Notifications {
  readonly #context: NotifyingContext;
  readonly #outside: Outside;
  readonly #publicUrl: string;
  readonly #closing = new AbortController();
  readonly #attempts = new Set<Promise<void>>();
  readonly #loops: readonly Promise<void>[];

  constructor(context: NotifyingContext, { outside, publicUrl }: { outside: Outside; publicUrl: string }) {
    this.#context = context;
    this.#outside = outside;
    this.#publicUrl = publicUrl;
    const { clock, logger, database } = context;
    const loop = (intervalMs: number, work: () => Promise<void>): Promise<void> =>
      repeat(work, {
        clock,
        intervalMs,
        signal: this.#closing.signal,
        onFailure: (thrown) => logger.warn({ error: asTidemarkError(thrown).message }, "notifications wait"),
      });
    this.#loops = [loop(TICK_MS, () => this.#tick()), loop(TIDY_INTERVAL_MS, () => tidyDeliveries(database.db))];
  }

  /** Gives back what is under way. */
  async close(): Promise<void> {
    this.#closing.abort();
    await Promise.all([...this.#loops, ...this.#attempts]);
  }

  async #tick(): Promise<void> {
    const { db } = this.#context.database;
    await routeEvents(db);
    while (this.#attempts.size < ATTEMPTS_AT_ONCE_MAX && !this.#closing.signal.aborted) {
      const claimed = await claimDelivery(db);
      if (claimed === undefined) return;
      const attempts = this.#attemptFrom(claimed).finally(() => this.#attempts.delete(attempts));
      this.#attempts.add(attempts);
    }
  }

  /** One after the other, until none is due: a burst to one notifier need not wait for ticks. Never rejects: what it leaves, a tick takes up. */
  async #attemptFrom(first: ClaimedDelivery): Promise<void> {
    const { database, logger } = this.#context;
    let claimed: ClaimedDelivery | undefined = first;
    while (claimed !== undefined) {
      await this.#attempt(claimed);
      if (this.#closing.signal.aborted) return;
      claimed = await claimDelivery(database.db).catch((thrown: unknown) => {
        logger.warn({ error: asTidemarkError(thrown).message }, "notifications wait");
        return undefined;
      });
    }
  }

  /** Never rejects: a result that can't be recorded is one that another attempt repeats. */
  async #attempt(claimed: ClaimedDelivery): Promise<void> {
    const { clock, database, logger } = this.#context;
    const startedAt = clock.now().getTime();
    const end = await this.#deliver(claimed);
    const durationMs = clock.now().getTime() - startedAt;
    const facts = { notifierId: claimed.notifier.id, deliveryId: claimed.delivery.id, durationMs };
    if (end.kind === "failed") logger.warn({ ...facts, error: end.error.message }, "a notification was not delivered");
    await endAttempt(database.db, { delivery: claimed.delivery, end, durationMs }).catch((thrown: unknown) =>
      logger.warn({ ...facts, error: asTidemarkError(thrown).message }, "the end of a delivery was not recorded"),
    );
  }

  async #deliver(claimed: ClaimedDelivery): Promise<DeliveryEnd> {
    const timeout = AbortSignal.timeout(ATTEMPT_TIMEOUT_MS);
    const signal = AbortSignal.any([this.#closing.signal, timeout]);
    try {
      const channel = await this.#channelOf(claimed);
      const at = this.#context.clock.now();
      const reply = await deliver(this.#noticeOf(claimed), channel, { outside: this.#outside, at, signal });
      return { kind: "delivered", reply };
    } catch (thrown) {
      if (this.#closing.signal.aborted) return { kind: "given_back" };
      if (timeout.aborted) return { kind: "failed", error: attemptTimeout(thrown) };
      return { kind: "failed", error: asTidemarkError(thrown) };
    }
  }

  #noticeOf({ delivery, event, appName }: ClaimedDelivery): Notice {
    const publicUrl = this.#publicUrl;
    return event === undefined
      ? testNotice({ id: delivery.id, appName, at: delivery.created_at, publicUrl })
      : noticeOfEvent(event, publicUrl);
  }

  async #channelOf({ notifier }: ClaimedDelivery): Promise<Channel> {
    const { platform, wrapped_address: wrapped } = notifier;
    if (platform === "email" || wrapped === null) {
      const users = await readRecipients(this.#context.database.db, {
        appId: notifier.app_id,
        userIds: notifier.user_ids,
      });
      return { type: "email", recipients: [...new Set([...notifier.emails, ...users.map(({ email }) => email)])] };
    }
    const address = await unwrapAddress(this.#context.secrets, wrapped);
    if (platform === "webhook") return { type: platform, ...address };
    return { type: platform, url: address.url };
  }
}

function attemptTimeout(cause: unknown): TidemarkError {
  return new TidemarkError("notification_failed", `Not delivered within ${ATTEMPT_TIMEOUT_MS / 1000} s`, { cause });
}

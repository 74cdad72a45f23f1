import type { Transaction } from "kysely";
import { controlFailure } from "./control-failure.ts";
import type { Clock } from "../core/clock.ts";
import { asTidemarkError, TidemarkError } from "../core/errors.ts";
import type { Logger } from "../core/logger.ts";
import type { ControlDatabase } from "./database.ts";
import {
  ATTEMPTS_MAX,
  claimOperation,
  endOperation,
  HEARTBEAT_MS,
  LEASE_SECONDS,
  type OperationEnd,
  renewLease,
} from "./operations.ts";
import { countOperation } from "./operation-totals.ts";
import type { ControlSchema, OperationKind, OperationRow } from "./schema.ts";

/** Pause before a failed attempt is repeated: doubles from the first, up to the last. */
const RETRY_DELAY_MIN_MS = 3000;
const RETRY_DELAY_MAX_MS = 60_000;

export interface OperationWork {
  readonly operation: OperationRow;
  /** Aborts with the reason: `cancelled`, `lease_lost` or `platform_stopping`. */
  readonly signal: AbortSignal;
  readonly logger: Logger;
  /** Bytes done so far; stored with the next heartbeat. */
  progress(bytes: number): void;
}

/**
 * Does the work of one kind. What it gives back is stored in the transaction that ends the operation as done; what it throws ends it, or
 * puts it off when the failure is transient. It may be begun again after any interruption, so each of its steps bears repeating.
 */
export type OperationHandler = (work: OperationWork) => Promise<StoreResult>;
export type StoreResult = (transaction: Transaction<ControlSchema>) => Promise<void>;

export interface OperationRunnerOptions {
  readonly database: ControlDatabase;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Who holds the leases: unique for each process and start. */
  readonly owner: string;
  readonly handlers: Readonly<Partial<Record<OperationKind, OperationHandler>>>;
  /** Stores what follows from a failure for good, in the transaction that ends the operation as failed. */
  readonly onFailed?: (transaction: Transaction<ControlSchema>, failure: OperationFailure) => Promise<void>;
}

export interface OperationFailure {
  readonly operation: OperationRow;
  readonly error: TidemarkError;
  readonly at: Date;
}

/** Runs operations under a lease: claims, beats, ends. Several runs go on at once. */
export class OperationRunner {
  readonly #options: OperationRunnerOptions;
  readonly #stopping = new AbortController();
  readonly #running = new Set<Promise<void>>();

  constructor(options: OperationRunnerOptions) {
    this.#options = options;
  }

  /** Runs the operation if it is due and nobody holds it, to its end or until it is given back. Never rejects. */
  async run(operationId: string): Promise<void> {
    if (this.#stopping.signal.aborted) return;
    const run = this.#claimAndRun(operationId).catch((error: unknown) => {
      // The control database failed us: the lease runs out, and the operation is taken up again.
      this.#options.logger.error(
        { operation: operationId, error: asTidemarkError(error).message },
        "an operation was left to its lease",
      );
    });
    this.#running.add(run);
    await run;
    this.#running.delete(run);
  }

  /** Interrupts what runs; each operation is given back, and begun again by whoever finds it. */
  async close(): Promise<void> {
    this.#stopping.abort(new TidemarkError("platform_stopping", "The platform is stopping"));
    await Promise.all(this.#running);
  }

  async #claimAndRun(operationId: string): Promise<void> {
    const { database, owner, logger, handlers } = this.#options;
    const operation = await claimOperation(database, operationId, owner);
    if (operation === undefined) return;
    const handler = handlers[operation.kind];
    const log = logger.child({
      operation: operation.id,
      kind: operation.kind,
      addon: operation.addon_id,
      attempt: operation.attempt,
    });
    log.info({}, "operation begins");
    const lease = new Lease(this.#options, operation, this.#stopping.signal);
    try {
      if (handler === undefined)
        throw new TidemarkError("bug", `No handler for operations of the kind "${operation.kind}"`);
      if (operation.cancel_requested) throw cancelled();
      refuseEndlessAttempts(operation);
      const storeResult = await handler({
        operation,
        signal: lease.signal,
        logger: log,
        progress: (bytes) => lease.noteProgress(bytes),
      });
      // Not asked again whether it was cancelled: what the handler has done, a committed backup say, is done.
      await lease.end({ state: "done" }, storeResult);
      log.info({ bytes: lease.progressBytes }, "operation is done");
    } catch (thrown) {
      await this.#endFailed(lease, operation, { thrown, log });
    } finally {
      lease.close();
    }
  }

  async #endFailed(
    lease: Lease,
    operation: OperationRow,
    { thrown, log }: { thrown: unknown; log: Logger },
  ): Promise<void> {
    // When we interrupted the work ourselves, whatever it threw is only how it stopped.
    const stopped = asTidemarkError(lease.signal.aborted ? lease.signal.reason : controlFailure(thrown));
    const isGivenBack = endAfter(stopped, operation)?.state === "scheduled";
    // A wish to cancel that no heartbeat has met yet counts before another attempt does.
    const error = isGivenBack && (await lease.isCancelled()) ? cancelled(stopped) : stopped;
    const end = endAfter(error, operation);
    const fields = { code: error.code, error: error.message, cause: causeOf(error), next: end?.state };
    if (end?.state === "error") log.error(fields, "operation failed");
    // A stop that was asked for is no trouble: the next start goes on.
    else if (error.code === "platform_stopping") log.info(fields, "operation is given back");
    else log.warn(fields, "operation is interrupted");
    if (end === undefined) return;
    const { onFailed, clock } = this.#options;
    const at = clock.now();
    await lease.end(end, async (transaction) => {
      if (end.state === "error") await onFailed?.(transaction, { operation, error, at });
    });
  }
}

/** Undefined: the lease is somebody else's, and so is the end. */
function endAfter(error: TidemarkError, operation: OperationRow): OperationEnd | undefined {
  if (error.code === "lease_lost") return undefined;
  if (error.code === "platform_stopping") return { state: "scheduled", delayMs: 0, uncounted: true };
  if (error.kind === "transient" && operation.attempt < ATTEMPTS_MAX) {
    const delayMs = Math.min(RETRY_DELAY_MIN_MS * 2 ** (operation.attempt - 1), RETRY_DELAY_MAX_MS);
    return { state: "scheduled", delayMs, uncounted: false };
  }
  return { state: "error", error };
}

/** A take-over counts as an attempt: work that kills its workers must not go round for ever. */
function refuseEndlessAttempts(operation: OperationRow): void {
  if (operation.attempt <= ATTEMPTS_MAX) return;
  throw new TidemarkError("bug", `The operation was begun ${ATTEMPTS_MAX} times, and its worker died each time`, {
    hint: "The platform's log says why: look for this operation's id.",
  });
}

function cancelled(cause?: TidemarkError): TidemarkError {
  return new TidemarkError("cancelled", "The operation was cancelled", cause === undefined ? {} : { cause });
}

function causeOf(error: TidemarkError): string | undefined {
  return error.cause instanceof Error ? (error.cause.stack ?? error.cause.message) : undefined;
}

/** One operation's lease: beats until closed, and aborts its signal when it is lost or cancelled, or when the process stops. */
class Lease {
  readonly #options: OperationRunnerOptions;
  readonly #operation: OperationRow;
  readonly #controller = new AbortController();
  readonly #closed = new AbortController();
  readonly #stopping: AbortSignal;
  readonly #onStop = (): void => this.#controller.abort(this.#stopping.reason);
  progressBytes = 0;

  constructor(options: OperationRunnerOptions, operation: OperationRow, stopping: AbortSignal) {
    this.#options = options;
    this.#operation = operation;
    this.#stopping = stopping;
    stopping.addEventListener("abort", this.#onStop, { once: true });
    if (stopping.aborted) this.#onStop();
    void this.#beat();
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  noteProgress(bytes: number): void {
    this.progressBytes = bytes;
  }

  /** Ends the operation together with its result; throws `lease_lost`, with nothing stored, when it isn't ours any more. */
  async end(end: OperationEnd, storeResult?: StoreResult): Promise<void> {
    await this.#options.database.db.transaction().execute(async (transaction) => {
      if (!(await endOperation(transaction, this.#facts(), end))) {
        throw new TidemarkError("lease_lost", "Another worker took over the operation");
      }
      await storeResult?.(transaction);
      if (end.state === "scheduled") return;
      const { kind, started_at: startedAt } = this.#operation;
      const outcome = end.state === "done" ? "done" : end.error.code;
      await countOperation(transaction, { kind, outcome, startedAt, bytes: this.progressBytes });
    });
  }

  /** Whether somebody has asked to end the operation; false also when it isn't ours any more, which its end will find. */
  async isCancelled(): Promise<boolean> {
    return (await renewLease(this.#options.database, this.#facts())) === "cancelled";
  }

  close(): void {
    this.#closed.abort();
    this.#stopping.removeEventListener("abort", this.#onStop);
  }

  async #beat(): Promise<void> {
    const { clock, database, logger } = this.#options;
    let heldUntilMs = clock.now().getTime() + LEASE_SECONDS * 1000;
    while (!this.#closed.signal.aborted && !this.signal.aborted) {
      try {
        await clock.sleep(HEARTBEAT_MS, this.#closed.signal);
        const sentAtMs = clock.now().getTime();
        const answer = await renewLease(database, this.#facts());
        if (answer === "held") heldUntilMs = sentAtMs + LEASE_SECONDS * 1000;
        if (answer === "lost")
          this.#abortUnlessClosed(new TidemarkError("lease_lost", "Another worker took over the operation"));
        if (answer === "cancelled") this.#abortUnlessClosed(cancelled());
      } catch (error) {
        if (this.#closed.signal.aborted) return;
        logger.warn({ operation: this.#operation.id, error: asTidemarkError(error).message }, "a heartbeat failed");
        // Without an answer the lease has run out for us when it has for everybody else.
        if (clock.now().getTime() >= heldUntilMs) {
          this.#abortUnlessClosed(
            new TidemarkError("lease_lost", "The control database was out of reach until the lease ran out", {
              cause: error,
            }),
          );
        }
      }
    }
  }

  #abortUnlessClosed(reason: TidemarkError): void {
    if (!this.#closed.signal.aborted) this.#controller.abort(reason);
  }

  #facts() {
    return {
      id: this.#operation.id,
      owner: this.#options.owner,
      attempt: this.#operation.attempt,
      progressBytes: this.progressBytes,
    };
  }
}

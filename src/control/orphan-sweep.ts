import { sql } from "kysely";
import type { Clock } from "../core/clock.ts";
import { asTidemarkError } from "../core/errors.ts";
import { ORPHAN_GRACE_MS, sweepLogicalOrphans } from "../repository/logical-backups.ts";
import type { Repository } from "../repository/repository.ts";
import type { ControlContext } from "./context.ts";

/** How often each worker looks whether a sweep is due. */
const LOOK_INTERVAL_MS = 10 * 60_000;
/** What is swept lay for a day: an hour more or less frees no space that anybody waits for. */
const SWEEP_INTERVAL_HOURS = 1;

/**
 * Takes away what interrupted uploads and deletions left in the repository, about once an hour. Any number of workers may run it: a row says
 * when the last sweep began, and whoever moves it on does the next.
 */
export class OrphanSweep {
  readonly #context: ControlContext;
  readonly #repository: Repository;
  readonly #closing = new AbortController();
  readonly #loop: Promise<void>;

  constructor(context: ControlContext, repository: Repository) {
    this.#context = context;
    this.#repository = repository;
    this.#loop = this.#run();
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#loop;
  }

  async #run(): Promise<void> {
    const { clock, logger } = this.#context;
    const { signal } = this.#closing;
    while (!signal.aborted) {
      try {
        if (await this.#claim()) await sweepRepository(this.#context, this.#repository, signal);
      } catch (error) {
        if (signal.aborted) return;
        logger.warn(
          { error: asTidemarkError(error).message },
          "a sweep of the repository failed; the next one goes on",
        );
      }
      await pause(clock, signal);
    }
  }

  async #claim(): Promise<boolean> {
    const { numUpdatedRows } = await this.#context.database.db
      .updateTable("platform")
      .set({ swept_at: sql<Date>`now()` })
      .where("swept_at", "<", sql<Date>`now() - ${SWEEP_INTERVAL_HOURS}::integer * interval '1 hour'`)
      .executeTakeFirst();
    return numUpdatedRows === 1n;
  }
}

/** One sweep over all databases, removed ones included. Logs each removed object. */
export async function sweepRepository(
  { database, clock, logger, secrets }: ControlContext,
  repository: Repository,
  signal: AbortSignal,
): Promise<void> {
  const before = new Date(clock.now().getTime() - ORPHAN_GRACE_MS);
  await repository.store.sweepUploads(before, { signal });
  const rows = await database.db.selectFrom("databases").select(["addon_id", "wrapped_identity"]).execute();
  for (const { addon_id: databaseId, wrapped_identity: wrapped } of rows) {
    const identity = await secrets.unwrapDatabaseKey(databaseId, wrapped);
    const removed = await sweepLogicalOrphans(repository, { databaseId, identity, before }, { signal });
    if (removed.length > 0) logger.info({ databaseId, removed }, "orphans were removed from the repository");
  }
}

async function pause(clock: Clock, signal: AbortSignal): Promise<void> {
  // The only rejection is the end of the loop, which its condition sees.
  await clock.sleep(LOOK_INTERVAL_MS, signal).catch(() => undefined);
}

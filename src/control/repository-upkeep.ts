import { availableParallelism } from "node:os";
import { type Selectable, sql } from "kysely";
import { asTidemarkError } from "../core/errors.ts";
import { repeat } from "../core/repeat.ts";
import { ORPHAN_GRACE_MS, sweepLogicalOrphans } from "../repository/logical-backups.ts";
import { sweepPhysicalOrphans } from "../repository/physical-orphans.ts";
import { openPhysicalArchive, type PhysicalArchive } from "../repository/physical-archive.ts";
import type { Repository } from "../repository/repository.ts";
import { expireLogicalBackups } from "./backup-retention.ts";
import type { ControlContext } from "./context.ts";
import { forgetOldSamples } from "./database-samples.ts";
import { forgetOldEvents } from "./events.ts";
import { expireContinuousBackups } from "./continuous-retention.ts";
import type { AddonTable, DatabaseTable } from "./schema.ts";

type DatabaseRow = Pick<Selectable<DatabaseTable>, "addon_id" | "recipient" | "wrapped_identity"> &
  Pick<Selectable<AddonTable>, "state">;

/** How often each worker looks whether it is time. */
const LOOK_INTERVAL_MS = 10 * 60_000;
/** What goes has lain for a day at least: an hour more or less frees no space that anybody waits for. */
const INTERVAL_HOURS = 1;

/**
 * Keeps the repository in order about once an hour: takes away what plans and recovery windows no longer need, and what interrupted uploads and deletions
 * left behind. Any number of workers may run it: a row says when it last began, and whoever moves that on does it next.
 */
export class RepositoryUpkeep {
  readonly #context: ControlContext;
  readonly #repository: Repository;
  readonly #closing = new AbortController();
  readonly #loop: Promise<void>;

  constructor(context: ControlContext, repository: Repository) {
    this.#context = context;
    this.#repository = repository;
    const { clock, logger } = context;
    this.#loop = repeat(() => this.#keepIfDue(), {
      clock,
      intervalMs: LOOK_INTERVAL_MS,
      signal: this.#closing.signal,
      onFailure: (thrown) =>
        logger.warn(
          { error: asTidemarkError(thrown).message },
          "the repository was not put in order; the next time goes on",
        ),
    });
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#loop;
  }

  async #keepIfDue(): Promise<void> {
    if (!(await this.#claim())) return;
    const { database, clock } = this.#context;
    await forgetOldEvents(database.db, clock.now());
    await forgetOldSamples(database.db, clock.now());
    await keepRepository(this.#context, this.#repository, this.#closing.signal);
  }

  async #claim(): Promise<boolean> {
    const { numUpdatedRows } = await this.#context.database.db
      .updateTable("platform")
      .set({ swept_at: sql<Date>`now()` })
      .where("swept_at", "<", sql<Date>`now() - ${INTERVAL_HOURS}::integer * interval '1 hour'`)
      .executeTakeFirst();
    return numUpdatedRows === 1n;
  }
}

/** Once over all databases, removed ones included. A database or a duty that fails holds up none of the others. */
async function keepRepository(context: ControlContext, repository: Repository, signal: AbortSignal): Promise<void> {
  const before = new Date(context.clock.now().getTime() - ORPHAN_GRACE_MS);
  await repository.store.sweepUploads(before, { signal });
  const rows = await context.database.db
    .selectFrom("databases")
    .innerJoin("addons", "addons.id", "databases.addon_id")
    .select(["databases.addon_id", "recipient", "wrapped_identity", "addons.state"])
    .execute();
  for (const row of rows) {
    for (const duty of DUTIES) {
      try {
        await duty(context, repository, { row, before, signal });
      } catch (error) {
        signal.throwIfAborted();
        const { code, message } = asTidemarkError(error);
        const facts = { addon: row.addon_id, code, error: message };
        context.logger.error(facts, "a database's backups were not put in order");
      }
    }
  }
}

interface Keeping {
  readonly row: DatabaseRow;
  /** What is younger may still be in use. */
  readonly before: Date;
  readonly signal: AbortSignal;
}

type Duty = (context: ControlContext, repository: Repository, keeping: Keeping) => Promise<void>;

const DUTIES: readonly Duty[] = [keepLogicalRetention, sweepLogical, sweepContinuous, keepRecoveryWindow];

async function keepLogicalRetention(
  context: ControlContext,
  repository: Repository,
  { row, signal }: Keeping,
): Promise<void> {
  await expireLogicalBackups(context, repository, { addonId: row.addon_id, signal });
}

async function sweepLogical(
  context: ControlContext,
  repository: Repository,
  { row, before, signal }: Keeping,
): Promise<void> {
  const databaseId = row.addon_id;
  const identity = await context.secrets.unwrapDatabaseKey(databaseId, row.wrapped_identity);
  logSweep(context, row, await sweepLogicalOrphans(repository, { databaseId, identity, before }, { signal }));
}

async function sweepContinuous(
  context: ControlContext,
  repository: Repository,
  { row, before, signal }: Keeping,
): Promise<void> {
  if (row.state !== "running") return;
  const archive = await openArchive(context, repository, row);
  logSweep(context, row, await sweepPhysicalOrphans(archive, { before, signal }));
}

async function keepRecoveryWindow(
  context: ControlContext,
  repository: Repository,
  { row, signal }: Keeping,
): Promise<void> {
  if (row.state !== "running") return;
  const archive = await openArchive(context, repository, row);
  await expireContinuousBackups(context, { addonId: row.addon_id, archive, signal });
}

async function openArchive(
  { secrets }: ControlContext,
  repository: Repository,
  row: DatabaseRow,
): Promise<PhysicalArchive> {
  return openPhysicalArchive({
    repository,
    databaseId: row.addon_id,
    recipients: [row.recipient],
    identity: await secrets.unwrapDatabaseKey(row.addon_id, row.wrapped_identity),
    framesInFlight: availableParallelism(),
  });
}

function logSweep({ logger }: ControlContext, row: DatabaseRow, removed: readonly string[]): void {
  if (removed.length > 0) logger.info({ addon: row.addon_id, removed }, "orphans were removed from the repository");
}

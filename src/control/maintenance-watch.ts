import { sql, type Transaction } from "kysely";
import { asTidemarkError } from "../core/errors.ts";
import { type AddonId, newObjectId } from "../core/ids.ts";
import { repeat } from "../core/repeat.ts";
import { windowAround } from "../policy/maintenance-window.ts";
import type { ControlContext } from "./context.ts";
import type { HostedServer, ServerNow } from "./database-host.ts";
import { readEventAddon, recordDatabaseEvent } from "./events.ts";
import { readMaintenanceWindow } from "./maintenances.ts";
import type { OperationHandler } from "./operation-runner.ts";
import { ATTEMPTS_MAX, insertOperationUnlessOpen } from "./operations.ts";
import type { ControlSchema, MaintenanceTable } from "./schema.ts";

/** A short session on each server of this machine. What is found may wait for days, but a window that is open should not. */
const LOOK_INTERVAL_MS = 10_000;
/** They restart a server themselves: what waits for a restart meanwhile waits for nothing else. */
const RESTARTING_KINDS = ["change_plan", "maintain", "reconfigure", "pitr_swap"] as const;
const RESTART_REASON = "It is being maintained: it restarts, and is back in a moment";

/** What the watch needs of the machine's host. */
export interface MaintainingHost {
  withServer<T>(addonId: AddonId, work: (server: HostedServer) => Promise<T>): Promise<T>;
  /** How a server runs now. `server_not_running` when it doesn't. */
  readServer(addonId: AddonId): Promise<ServerNow>;
}

/**
 * Finds what a restart of a server of this machine waits for, plans it for the database's window, and begins it there when nothing else goes on. A need
 * that went by itself, by a crash say, is crossed out.
 */
export class MaintenanceWatch {
  readonly #context: ControlContext;
  readonly #host: MaintainingHost;
  readonly #closing = new AbortController();
  readonly #loop: Promise<void>;

  constructor(context: ControlContext, host: MaintainingHost) {
    this.#context = context;
    this.#host = host;
    this.#loop = repeat(() => this.#look(), {
      clock: context.clock,
      intervalMs: LOOK_INTERVAL_MS,
      signal: this.#closing.signal,
      onFailure: (thrown) =>
        context.logger.warn({ error: asTidemarkError(thrown).message }, "maintenances were not looked for"),
    });
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#loop;
  }

  async #look(): Promise<void> {
    const { database, hostId, logger } = this.#context;
    const rows = await database.db
      .selectFrom("databases")
      .innerJoin("addons", "addons.id", "databases.addon_id")
      .select(["addon_id", "version"])
      .where("host_id", "=", hostId)
      .where("addons.state", "=", "running")
      .where("databases.status", "=", "running")
      .where((row) =>
        row.not(
          row.exists(
            row
              .selectFrom("operations")
              .select("operations.id")
              .whereRef("operations.addon_id", "=", "databases.addon_id")
              .where("operations.kind", "in", RESTARTING_KINDS)
              .where("operations.state", "in", ["scheduled", "running"]),
          ),
        ),
      )
      .execute();
    for (const row of rows) {
      if (this.#closing.signal.aborted) return;
      try {
        await this.#lookAt(row);
      } catch (thrown) {
        const { message } = asTidemarkError(thrown);
        logger.debug({ addon: row.addon_id, error: message }, "a server was not asked for its maintenance");
      }
    }
  }

  async #lookAt({ addon_id: addonId, version }: { addon_id: AddonId; version: string | null }): Promise<void> {
    const { db } = this.#context.database;
    const now = await this.#host.readServer(addonId);
    if (now.version !== version)
      await db.updateTable("databases").set({ version: now.version }).where("addon_id", "=", addonId).execute();
    const need = needOf(now);
    await db.transaction().execute((transaction) => notePlan(this.#context, transaction, { addonId, need }));
    if (need !== undefined) await beginIfOpen(this.#context, addonId);
  }
}

/** Handler of `maintain`: restarts the server, inside the window in which it was begun. */
export function maintainHandler(context: ControlContext, host: MaintainingHost): OperationHandler {
  const { db } = context.database;
  return async ({ operation }) => {
    const addonId = operation.addon_id;
    const maintenance = await db
      .updateTable("maintenances")
      .set({ status: "running", started_at: sql<Date>`coalesce(started_at, now())` })
      .where("addon_id", "=", addonId)
      .where("status", "in", ["scheduled", "running"])
      .returningAll()
      .executeTakeFirst();
    if (maintenance === undefined) return async () => {};
    // Told once, however often it is begun.
    if (operation.attempt === 1) await tell(context, db, { addonId, maintenance, type: "start_database_maintenance" });
    try {
      await host.withServer(addonId, (server) => server.restart(RESTART_REASON));
    } catch (error) {
      const failure = asTidemarkError(error);
      if (failure.kind !== "transient" || operation.attempt >= ATTEMPTS_MAX) await end(db, maintenance.id, "failed");
      throw failure;
    }
    return async (transaction) => {
      await end(transaction, maintenance.id, "done");
      await tell(context, transaction, { addonId, maintenance, type: "complete_database_maintenance" });
    };
  };
}

type Need = Pick<MaintenanceTable, "type" | "reason">;
type Db = ControlContext["database"]["db"];

function needOf({ version, installedVersion, pendingRestart }: ServerNow): Need | undefined {
  if (version !== installedVersion)
    return { type: "minor_upgrade", reason: `PostgreSQL ${installedVersion} is installed, and ${version} runs` };
  if (pendingRestart.length > 0)
    return { type: "restart", reason: `Settings wait for a restart: ${pendingRestart.join(", ")}` };
  return undefined;
}

/** One is planned while there is a need, and crossed out when there is none. */
async function notePlan(
  context: ControlContext,
  transaction: Transaction<ControlSchema>,
  { addonId, need }: { addonId: AddonId; need: Need | undefined },
): Promise<void> {
  if (need === undefined) {
    await transaction
      .updateTable("maintenances")
      .set({ status: "cancelled", ended_at: sql<Date>`now()` })
      .where("addon_id", "=", addonId)
      .where("status", "=", "scheduled")
      .execute();
    return;
  }
  const maintenance = await transaction
    .insertInto("maintenances")
    .values({
      id: newObjectId(context.clock.now()),
      addon_id: addonId,
      status: "scheduled",
      ...need,
      started_at: null,
      ended_at: null,
    })
    // Names the index `maintenances_one_open`.
    .onConflict((conflict) =>
      conflict
        .column("addon_id")
        .where(sql.ref("status"), "in", sql`('scheduled', 'running')`)
        .doNothing(),
    )
    .returningAll()
    .executeTakeFirst();
  if (maintenance !== undefined)
    await tell(context, transaction, { addonId, maintenance, type: "plan_database_maintenance" });
}

/** Nothing that a restart would cut, and nothing that stops the server itself, may be under way. */
async function beginIfOpen({ database, queue, clock, hostId }: ControlContext, addonId: AddonId): Promise<void> {
  await database.db.transaction().execute(async (transaction) => {
    // A restore that begins at the same time waits for this, or this for it.
    await transaction.selectFrom("databases").select("addon_id").where("addon_id", "=", addonId).forUpdate().execute();
    if (!windowAround(await readMaintenanceWindow(transaction, addonId), clock.now()).isOpen) return;
    const open = await transaction
      .selectFrom("operations")
      .select("id")
      .where("addon_id", "=", addonId)
      .where("state", "in", ["scheduled", "running"])
      .where("kind", "<>", "expire_backups")
      .executeTakeFirst();
    if (open !== undefined) return;
    const id = newObjectId(clock.now());
    const operation = await insertOperationUnlessOpen(transaction, { id, kind: "maintain", addonId });
    if (operation !== undefined) await queue.send(operation, hostId, transaction);
  });
}

async function end(db: Db, id: MaintenanceTable["id"], status: "done" | "failed"): Promise<void> {
  await db
    .updateTable("maintenances")
    .set({ status, ended_at: sql<Date>`now()` })
    .where("id", "=", id)
    .execute();
}

async function tell(
  { clock }: ControlContext,
  db: Db,
  input: {
    addonId: AddonId;
    maintenance: Pick<MaintenanceTable, "id" | "type">;
    type: "plan_database_maintenance" | "start_database_maintenance" | "complete_database_maintenance";
  },
): Promise<void> {
  const window = await readMaintenanceWindow(db, input.addonId);
  await recordDatabaseEvent(db, await readEventAddon(db, input.addonId), {
    type: input.type,
    data: {
      maintenance_id: input.maintenance.id,
      maintenance_type: input.maintenance.type,
      maintenance_window_in_hours: window.durationHours,
      next_maintenance_window: windowAround(window, clock.now()).startsAt.toISOString(),
    },
    actor: "platform",
    at: clock.now(),
  });
}

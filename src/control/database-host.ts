import { type Selectable, sql } from "kysely";
import { asTidemarkError, TidemarkError } from "../core/errors.ts";
import type { AddonId } from "../core/ids.ts";
import { repeat } from "../core/repeat.ts";
import {
  type ManagedDatabase,
  type ManagedHost,
  managedFolder,
  ownerConnection,
  reconfigureDatabase,
  provisionManagedDatabase,
  readManagedServer,
  removeManagedDatabase,
  renewCertificate,
  supervisedDatabase,
} from "../instances/managed-database.ts";
import { firstFreePort, type PortRange } from "../instances/ports.ts";
import { type ServerStatus, Supervisor } from "../instances/supervisor.ts";
import type { Connection } from "../postgres/connection.ts";
import { choosePrograms, readProgramsVersion } from "../postgres/programs.ts";
import type { Repository } from "../repository/repository.ts";
import { type ControlContext, unwrapText } from "./context.ts";
import { forgetContinuousBackups, removeContinuousBackups } from "./continuous-removal.ts";
import { noteFeaturesTaken, reconfigureAgainIfChanged } from "./server-settings-change.ts";
import { UNIQUE_VIOLATION, violatedConstraint } from "./database.ts";
import { sweepDataFolders } from "./kept-data-folders.ts";
import { type SwapHost, swapDataFolder } from "./point-in-time-swap.ts";
import type { OperationHandler, StoreResult } from "./operation-runner.ts";
import type { AddonTable, DatabaseTable } from "./schema.ts";

const BYTES_PER_MB = 1024 ** 2;
/** A certificate is renewed when 30 days are left; `start()` looks too, as it prepares each server. */
const CERTIFICATE_CHECK_INTERVAL_MS = 24 * 3600_000;
/** How often a removal looks whether a restore has come to its end. */
const BUILDING_POLL_MS = 200;
/** What a restore replaced goes within a minute of its time; looking is one listing of a folder for each database. */
const DATA_FOLDER_SWEEP_INTERVAL_MS = 60_000;
/** Pause before a server's status is stored again after the control database refused. */
const STATUS_RETRY_MS = 2000;
/** A renewed package is noticed that late. */
const VERSION_VALID_MS = 5 * 60_000;
/** Another process of this host can take the port that we chose between two statements; then we choose again. */
const PORT_TRIES_MAX = 20;

type DatabaseRow = Selectable<DatabaseTable> &
  Pick<Selectable<AddonTable>, "state" | "resource_id" | "plan_name" | "next_plan_name"> & {
    /** Names of what its user has switched on. */
    readonly features: readonly string[];
  };

export interface ServerNow {
  /** `15.18`, of the process that runs. */
  readonly version: string;
  /** Of the programs that a start would run. */
  readonly installedVersion: string;
  /** Names of settings that wait for a restart. */
  readonly pendingRestart: readonly string[];
}

/** One database's server, in the hands of one operation. */
export interface HostedServer {
  /** Has it take up what the control database says now; `pendingRestart` names the settings that wait for a restart. */
  takeUpSettings(): Promise<{ readonly pendingRestart: readonly string[] }>;
  /** Stops and starts it; `reason` is what its users read meanwhile. `server_start_failed` with its reason when it doesn't run then. */
  restart(reason: string): Promise<void>;
}

/** The databases of one machine: makes, runs and removes their servers, and tells the control database how they are. */
export class DatabaseHost {
  readonly #context: ControlContext;
  readonly #host: ManagedHost;
  readonly #ports: PortRange;
  readonly #repository: Repository;
  readonly #supervisor: Supervisor;
  /** Changes of status are stored one after the other, so that the last one stands. */
  #storing: Promise<void> = Promise.resolve();
  readonly #newestStatus = new Map<string, ServerStatus>();
  /** Why a server is down on purpose, by its id. */
  readonly #announced = new Map<string, string>();
  readonly #installedVersions = new Map<number, { readonly version: string; readonly askedMs: number }>();
  #certificates: Promise<void> = Promise.resolve();
  #sweeping: Promise<void> = Promise.resolve();
  readonly #closing = new AbortController();
  readonly #working = new Map<AddonId, Promise<void>>();

  constructor(
    context: ControlContext,
    { host, ports, repository }: { host: ManagedHost; ports: PortRange; repository: Repository },
  ) {
    this.#context = context;
    this.#host = host;
    this.#ports = ports;
    this.#repository = repository;
    this.#supervisor = new Supervisor({
      clock: context.clock,
      logger: context.logger,
      onStatus: (status) => this.#noteStatus(status),
    });
  }

  /** Starts or adopts every database of this machine; one that doesn't start holds up none of the others. */
  async start(): Promise<void> {
    const rows = await this.#rows().where("addons.state", "=", "running").execute();
    await Promise.all(rows.map((row) => this.#supervise(row)));
    this.#watchCertificates();
    this.#watchDataFolders();
  }

  /** Renews the certificates that end soon, once a day until `close()`. */
  #watchCertificates(): void {
    const { clock, logger } = this.#context;
    this.#certificates = repeat(() => this.#renewCertificates(), {
      clock,
      intervalMs: CERTIFICATE_CHECK_INTERVAL_MS,
      signal: this.#closing.signal,
      onFailure: (thrown) =>
        logger.error({ error: asTidemarkError(thrown).message }, "certificates were not renewed; tried again tomorrow"),
    });
  }

  async #renewCertificates(): Promise<void> {
    const rows = await this.#rows().where("addons.state", "=", "running").execute();
    for (const row of rows) await renewCertificate(this.#host, this.#managed(row));
  }

  /** Stops all servers within about `timeoutMs`. */
  async close({ timeoutMs }: { timeoutMs: number }): Promise<void> {
    this.#closing.abort();
    await Promise.all([this.#certificates, this.#sweeping]);
    await this.#supervisor.close({ leaveRunning: false, timeoutMs });
    await this.#storing;
  }

  /** How to reach a database of this machine as its own role, by its socket. */
  async connectionOfOwner(addonId: AddonId): Promise<Connection> {
    const row = await this.#row(addonId);
    const what = `password of ${row.resource_id}`;
    const password = await unwrapText(this.#context.secrets, row.wrapped_owner_password, what);
    return ownerConnection(this.#host, this.#managed(row), password);
  }

  /** Handler of `provision`: port, server, roles, database; then the addon runs. */
  readonly provision: OperationHandler = ({ operation, signal }) =>
    this.#alone(operation.addon_id, () => this.#provision(operation.addon_id, signal));

  /** Handler of `remove`: server, data and continuous backups go; logical backups stay, and the rows for their sake. */
  readonly remove: OperationHandler = ({ operation, signal }) =>
    this.#alone(operation.addon_id, () => this.#remove(operation.addon_id, signal));

  /** Handler of `reconfigure`: the running server takes up what was changed about its database. */
  readonly reconfigure: OperationHandler = ({ operation }) =>
    this.#alone(operation.addon_id, async () => {
      const row = await this.#row(operation.addon_id);
      await this.#takeUpSettings(row);
      return async (transaction) => {
        await noteFeaturesTaken(transaction, row);
        await reconfigureAgainIfChanged(this.#context, transaction, row);
      };
    });

  /** Works on one database's server while no other operation of this host's does. */
  async withServer<T>(addonId: AddonId, work: (server: HostedServer) => Promise<T>): Promise<T> {
    return await this.#alone(addonId, () =>
      work({
        takeUpSettings: async () => this.#takeUpSettings(await this.#row(addonId)),
        restart: (reason) => this.#restart(addonId, reason),
      }),
    );
  }

  /** Handler of `pitr_swap`: a data folder that was made ready takes the database's place. */
  readonly swap: OperationHandler = (work) =>
    this.#alone(work.operation.addon_id, () => {
      const place = { repository: this.#repository, socketFolder: this.#host.runtimeFolder };
      return swapDataFolder(this.#context, { host: this.#swapHost(), place }, work);
    });

  #swapHost(): SwapHost {
    return {
      databaseFolder: (addonId) => managedFolder(this.#host, { addonId }),
      isRunning: (addonId) => this.#supervisor.status(addonId)?.state === "running",
      stop: async (addonId, reason) => {
        this.#announced.set(addonId, reason);
        await this.#supervisor.stop(addonId);
      },
      start: async (addonId) => {
        this.#announced.delete(addonId);
        return await this.#supervise(await this.#row(addonId));
      },
    };
  }

  /** Removes data folders that no database needs any more, until `close()`. */
  #watchDataFolders(): void {
    const { clock, logger } = this.#context;
    this.#sweeping = repeat(() => this.#sweepDataFolders(), {
      clock,
      intervalMs: DATA_FOLDER_SWEEP_INTERVAL_MS,
      signal: this.#closing.signal,
      onFailure: (thrown) =>
        logger.error({ error: asTidemarkError(thrown).message }, "replaced data folders were not removed; tried again"),
    });
  }

  async #sweepDataFolders(): Promise<void> {
    for (const { addon_id: addonId } of await this.#rows().where("addons.state", "=", "running").execute()) {
      if (this.#closing.signal.aborted) return;
      await sweepDataFolders(this.#context, { addonId, databaseFolder: managedFolder(this.#host, { addonId }) });
    }
  }

  /** How a database's server runs now, and which version a start would run. `server_not_running` when it doesn't answer. */
  async readServer(addonId: AddonId): Promise<ServerNow> {
    const database = this.#managed(await this.#row(addonId));
    const installedVersion = await this.#installedVersion(database.major);
    return { installedVersion, ...(await readManagedServer(this.#host, database)) };
  }

  /** Asked of the program itself now and then: a package may have been renewed since the platform began. */
  async #installedVersion(major: number): Promise<string> {
    const nowMs = this.#context.clock.now().getTime();
    const known = this.#installedVersions.get(major);
    if (known !== undefined && nowMs - known.askedMs < VERSION_VALID_MS) return known.version;
    const programs = choosePrograms(this.#host.installed, major);
    const version = (await readProgramsVersion(programs)) ?? programs.version;
    this.#installedVersions.set(major, { version, askedMs: nowMs });
    return version;
  }

  async #takeUpSettings(row: DatabaseRow): Promise<{ readonly pendingRestart: readonly string[] }> {
    await this.#supervise(row);
    return await reconfigureDatabase(this.#host, this.#managed(row));
  }

  async #restart(addonId: AddonId, reason: string): Promise<void> {
    this.#announced.set(addonId, reason);
    try {
      const status = await this.#supervisor.restart(addonId);
      if (status.state === "running") return;
      throw new TidemarkError("server_start_failed", status.reason ?? "The server doesn't run after its restart", {
        hint: "tidemark logs shows what the server says.",
      });
    } finally {
      this.#announced.delete(addonId);
    }
  }

  async #provision(addonId: AddonId, signal: AbortSignal): Promise<StoreResult> {
    signal.throwIfAborted();
    const row = await this.#row(addonId);
    const port = row.port ?? (await this.#takePort(row.addon_id));
    const database = this.#managed({ ...row, port });
    const { secrets } = this.#context;
    const what = `password of ${row.resource_id}`;
    const passwords = {
      owner: await unwrapText(secrets, row.wrapped_owner_password, what),
      backup: await unwrapText(secrets, row.wrapped_backup_password, what),
      replication: await unwrapText(secrets, row.wrapped_replication_password, what),
    };
    const formerName = await this.#formerName(row.addon_id);
    const { version } = await provisionManagedDatabase(this.#host, database, { passwords, formerName, signal });
    await this.#supervise({ ...row, port });
    return async (transaction) => {
      await transaction
        .updateTable("databases")
        .set({ version, status: "running", status_reason: null })
        .where("addon_id", "=", row.addon_id)
        .execute();
      await transaction
        .updateTable("addons")
        .set({ state: "running", provisioned_at: this.#context.clock.now() })
        .where("id", "=", row.addon_id)
        // Removed meanwhile: its removal is on the way.
        .where("state", "=", "provisioning")
        .execute();
    };
  }

  /** Of one that is made from another's backups: how that one is called. */
  async #formerName(addonId: AddonId): Promise<string | undefined> {
    const row = await this.#context.database.db
      .selectFrom("addon_copies")
      .innerJoin("addons", "addons.id", "addon_copies.source_addon_id")
      .select("addons.resource_id")
      .where("addon_copies.addon_id", "=", addonId)
      .executeTakeFirst();
    return row?.resource_id;
  }

  async #remove(addonId: AddonId, signal: AbortSignal): Promise<StoreResult> {
    const row = await this.#row(addonId);
    await this.#supervisor.release(row.addon_id);
    await this.#untilNothingIsBuilt(addonId, signal);
    await removeManagedDatabase(this.#host, { addonId: row.addon_id, port: row.port }, { signal });
    await removeContinuousBackups(this.#context, this.#repository, { addonId, signal });
    return async (transaction) => {
      await forgetContinuousBackups(transaction, row.addon_id);
      await transaction
        .updateTable("databases")
        .set({ status: "stopped", status_reason: "It was removed", port: null })
        .where("addon_id", "=", row.addon_id)
        .execute();
      await transaction
        .updateTable("addons")
        .set({ state: "removed", removed_at: this.#context.clock.now() })
        .where("id", "=", row.addon_id)
        .execute();
    };
  }

  /** A restore under way was cancelled by the removal; until its worker has heard of that, it goes on to make files. */
  async #untilNothingIsBuilt(addonId: AddonId, signal: AbortSignal): Promise<void> {
    const { database, clock } = this.#context;
    for (;;) {
      const building = await database.db
        .selectFrom("operations")
        .select("id")
        .where("addon_id", "=", addonId)
        .where("kind", "in", ["pitr_restore", "pitr_undo", "addon_copy"])
        .where("state", "=", "running")
        .executeTakeFirst();
      if (building === undefined) return;
      await clock.sleep(BUILDING_POLL_MS, signal);
    }
  }

  /** A removal that was asked for while its database is being made waits until that work has let go of the folder. */
  async #alone<T>(addonId: AddonId, work: () => Promise<T>): Promise<T> {
    const before = this.#working.get(addonId) ?? Promise.resolve();
    const result = before.then(work);
    const settled = result.then(
      () => undefined,
      () => undefined,
    );
    this.#working.set(addonId, settled);
    try {
      return await result;
    } finally {
      if (this.#working.get(addonId) === settled) this.#working.delete(addonId);
    }
  }

  #rows() {
    return this.#context.database.db
      .selectFrom("databases")
      .innerJoin("addons", "addons.id", "databases.addon_id")
      .selectAll("databases")
      .select(["addons.state", "addons.resource_id", "addons.plan_name", "addons.next_plan_name"])
      .select(
        sql<string[]>`array(select name from database_features where addon_id = addons.id order by name)`.as(
          "features",
        ),
      )
      .where("databases.host_id", "=", this.#context.hostId);
  }

  async #row(addonId: AddonId): Promise<DatabaseRow> {
    return await this.#rows().where("databases.addon_id", "=", addonId).executeTakeFirstOrThrow();
  }

  async #supervise(row: DatabaseRow): Promise<ServerStatus> {
    const status = await this.#supervisor.supervise(supervisedDatabase(this.#host, this.#managed(row)));
    // A server that runs as before changes no status, yet the row may still tell of the last stop.
    this.#noteStatus(status);
    return status;
  }

  #managed(row: DatabaseRow): ManagedDatabase {
    const plan = this.#context.plans.find(row.next_plan_name ?? row.plan_name);
    if (plan === undefined || row.port === null) {
      throw new TidemarkError("bug", `The database ${row.resource_id} has no known plan or no port`);
    }
    return {
      addonId: row.addon_id,
      name: row.resource_id,
      major: row.major,
      port: row.port,
      memoryBytes: plan.memoryMb * BYTES_PER_MB,
      walProtection: row.wal_protection,
      dataFolderName: row.data_folder,
      forcesTls: row.features.includes("force-ssl"),
      isPublic: row.features.includes("publicly-available"),
      hostName: this.#context.hostNameOf(row.resource_id),
    };
  }

  /** A port for life, noted before anything uses it. */
  async #takePort(addonId: AddonId): Promise<number> {
    const { db } = this.#context.database;
    for (let attempt = 1; ; attempt++) {
      const rows = await this.#rows().where("databases.port", "is not", null).execute();
      const taken = new Set(rows.flatMap((row) => row.port ?? []));
      const port = await firstFreePort({ range: this.#ports, bind: this.#host.bind, taken });
      try {
        await db.updateTable("databases").set({ port }).where("addon_id", "=", addonId).execute();
        return port;
      } catch (error) {
        if (violatedConstraint(error, UNIQUE_VIOLATION) === undefined || attempt === PORT_TRIES_MAX) throw error;
      }
    }
  }

  #noteStatus(status: ServerStatus): void {
    this.#newestStatus.set(status.id, status);
    this.#storing = this.#storing.then(() => this.#storeUntilDone(status));
  }

  /** Again and again while the control database is away, unless a newer status has made this one idle. Never rejects. */
  async #storeUntilDone(status: ServerStatus): Promise<void> {
    const { clock, logger } = this.#context;
    while (this.#newestStatus.get(status.id) === status) {
      try {
        return await this.#storeStatus(status);
      } catch (error) {
        logger.warn({ server: status.id, error: asTidemarkError(error).message }, "a server's status was not stored");
      }
      if (this.#closing.signal.aborted) return;
      await clock.sleep(STATUS_RETRY_MS, this.#closing.signal).catch(() => undefined);
    }
  }

  async #storeStatus({ id, state, reason }: ServerStatus): Promise<void> {
    const running = state === "running";
    const why = reason ?? this.#announced.get(id) ?? (state === "starting" ? "It is starting" : null);
    await this.#context.database.db
      .updateTable("databases")
      .set({ status: running ? "running" : "stopped", status_reason: running ? null : (why ?? "It was stopped") })
      .where("host_id", "=", this.#context.hostId)
      .where((row) => row(row.cast<string>("addon_id", "text"), "=", id))
      .execute();
  }
}

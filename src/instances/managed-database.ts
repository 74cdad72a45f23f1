import { execFile } from "node:child_process";
import { rename, rm, statfs } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Client } from "pg";
import type { Clock } from "../core/clock.ts";
import { systemErrorCode, TidemarkError } from "../core/errors.ts";
import { type Connection, withSession } from "../postgres/connection.ts";
import { type Programs, choosePrograms, programPath } from "../postgres/programs.ts";
import { readServerVersion, readSystemIdentifier } from "../postgres/server-facts.ts";
import { type Authority, ensureServerCertificate } from "./authority.ts";
import { listDataFolders, pointAtDataFolder } from "./data-folders.ts";
import { BACKUP_ROLE, type ManagedPasswords, REPLICATION_ROLE, provisionRoles } from "./managed-roles.ts";
import { prepareRuntimeFolder } from "./runtime-folder.ts";
import { findServer, reloadServer, startServer, stopServer } from "./server.ts";
import { logFile, type ServerDefinition, superuserConnection } from "./server-definition.ts";
import { makePassage } from "./server-files.ts";
import { initServer } from "./server-init.ts";
import { serverSettings, type WalProtection } from "./server-settings.ts";
import type { SupervisedServer } from "./supervisor.ts";
import { type ServiceUser, spawnIdentity } from "./service-user.ts";

/** The machine that runs managed databases. */
export interface ManagedHost {
  readonly home: string;
  /** Of `runtimeFolder()`, prepared. */
  readonly runtimeFolder: string;
  readonly user: ServiceUser;
  /** Of `findPrograms()`. */
  readonly installed: readonly Programs[];
  /** Address that servers listen on; `*` for all. */
  readonly bind: string;
  readonly authority: Authority;
  readonly clock: Clock;
}

/** One managed database, as the control database describes it. */
export interface ManagedDatabase {
  readonly addonId: string;
  /** The resource id, `my_app_4553`: name of the server, the owner role and the database. */
  readonly name: string;
  readonly major: number;
  readonly port: number;
  readonly memoryBytes: number;
  readonly walProtection: WalProtection;
  /** Name of its data folder, in its own folder. */
  readonly dataFolderName: string;
  /** Over the network only with TLS. */
  readonly forcesTls: boolean;
  /** Other machines may connect, where the server listens for them. */
  readonly isPublic: boolean;
  /** Name that stands in its URI, when it isn't the address; goes into its certificate. */
  readonly hostName?: string;
}

export interface ProvisionedDatabase {
  /** `15.18` */
  readonly version: string;
  /** 64 bits, as decimal digits. */
  readonly systemIdentifier: string;
}

/** Holds the log for continuous backups: one for each server, which the receiver of its log streams from. */
export const REPLICATION_SLOT = "tidemark";

/** Asking postgres for one setting. */
const QUESTION_TIMEOUT_MS = 20_000;
/** The data is to be deleted, so a clean shutdown is only a courtesy to clients. */
const REMOVAL_STOP_TIMEOUT_MS = 5_000;
const WILDCARD_ADDRESSES = new Set(["*", "0.0.0.0", "::"]);

/** A server reads its configuration within milliseconds; this bounds one that is stopped or starved. */
const TAKE_UP_TIMEOUT_MS = 30_000;
const TAKE_UP_POLL_MS = 20;

const execute = promisify(execFile);

/**
 * Makes the database's server from nothing, or from wherever an interrupted call stopped: data folder, certificate,
 * roles, database. Leaves it running; give it to a `Supervisor` then. `port_in_use` when somebody else has its port,
 * errors of `initServer()` and `startServer()`; after any of them it may be called again.
 */
export async function provisionManagedDatabase(
  host: ManagedHost,
  database: ManagedDatabase,
  {
    passwords,
    formerName,
    signal,
  }: {
    readonly passwords: ManagedPasswords;
    /** For one whose data folder is a copy of another database's: its name there. */
    readonly formerName?: string | undefined;
    readonly signal?: AbortSignal;
  },
): Promise<ProvisionedDatabase> {
  const cancellation = signal === undefined ? {} : { signal };
  const server = await prepareManagedServer(host, database);
  await initServer(server, cancellation);
  await startServer(server, { clock: host.clock, ...cancellation });
  const superuser = superuserConnection(server);
  await provisionRoles(superuser, { name: database.name, passwords, formerName, ...cancellation });
  return withSession(superuser, { applicationName: "tidemark provision", ...cancellation }, async (client) => {
    await ensureReplicationSlot(client);
    return {
      version: (await readServerVersion(client)).version,
      systemIdentifier: await readSystemIdentifier(client),
    };
  });
}

/**
 * Makes the slot that continuous backups read the log from, unless it is there: from here on the server keeps its log until it is stored, whoever stores it and
 * whenever that begins. Works in a recovery too.
 */
export async function ensureReplicationSlot(client: Pick<Client, "query">): Promise<void> {
  await client.query(
    `select pg_create_physical_replication_slot($1, true)
     where not exists (select from pg_replication_slots where slot_name = $1)`,
    [REPLICATION_SLOT],
  );
}

/**
 * How the database's server is to run now, its certificate and socket folder made ready. Settings follow the plan's
 * memory and the free disk, so call it before each start. `programs_missing` when its major version is no longer
 * installed.
 */
export async function prepareManagedServer(host: ManagedHost, database: ManagedDatabase): Promise<ServerDefinition> {
  const programs = choosePrograms(host.installed, database.major);
  const folder = managedFolder(host, database);
  await prepareRuntimeFolder(host.runtimeFolder, host.user);
  await makePassage(folder);
  await pointAtDataFolder(folder, database.dataFolderName);
  await ensureCertificate(host, database);
  const settings = serverSettings({
    memoryBytes: database.memoryBytes,
    walProtection: database.walProtection,
    freeDiskBytes: await freeDiskBytes(host.home),
    major: programs.major,
    walCompression: (await supportsLz4(programs, host.user)) ? "lz4" : "pglz",
  });
  return {
    name: database.name,
    programs,
    user: host.user,
    folder,
    dataFolder: dataFolderOf(host, database),
    socketFolder: host.runtimeFolder,
    port: database.port,
    listenAddresses: host.bind,
    settings: { ...settings, ...tlsSettings(folder) },
    accessRules: accessRules(database),
  };
}

/** The database as a `Supervisor` takes it into care. */
export function supervisedDatabase(host: ManagedHost, database: ManagedDatabase): SupervisedServer {
  return {
    id: database.addonId,
    dataFolder: dataFolderOf(host, database),
    define: () => prepareManagedServer(host, database),
  };
}

/**
 * Has a running server take up its settings and access rules, and ends the sessions that the rules no longer allow. Resolves when that is so, with the
 * names of the settings that only a restart changes. For a server that doesn't run the files are written. `server_not_running` for one that starts or
 * stops just now.
 */
export async function reconfigureDatabase(
  host: ManagedHost,
  database: ManagedDatabase,
): Promise<{ readonly pendingRestart: readonly string[] }> {
  const server = await prepareManagedServer(host, database);
  if ((await findServer(server)) === undefined) {
    await reloadServer(server);
    return { pendingRestart: [] };
  }
  const session = { applicationName: "tidemark reconfigure" };
  await withSession(superuserConnection(server), session, async (client) => {
    const before = await configurationTime(client);
    await reloadServer(server);
    const deadlineMs = host.clock.now().getTime() + TAKE_UP_TIMEOUT_MS;
    while ((await configurationTime(client)) === before) {
      if (host.clock.now().getTime() >= deadlineMs) {
        throw new TidemarkError("server_not_running", `The server of ${database.name} doesn't read its configuration`);
      }
      await host.clock.sleep(TAKE_UP_POLL_MS);
    }
  });
  // A session that begins now was let in by the new rules; one that was let in by the old ones is seen by it.
  return await withSession(superuserConnection(server), session, async (client) => {
    await endForbiddenSessions(client, database);
    return { pendingRestart: await readPendingRestart(client) };
  });
}

/** How the database's server runs. `server_not_running` when it doesn't answer. */
export async function readManagedServer(
  host: ManagedHost,
  database: ManagedDatabase,
): Promise<{ readonly version: string; readonly pendingRestart: readonly string[] }> {
  const superuser = superuserConnection({ socketFolder: host.runtimeFolder, port: database.port });
  return await withSession(superuser, { applicationName: "tidemark maintenance" }, async (client) => ({
    version: (await readServerVersion(client)).version,
    pendingRestart: await readPendingRestart(client),
  }));
}

/** Names of the settings that wait for a restart of the server. */
async function readPendingRestart(client: Client): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(
    "select name from pg_catalog.pg_settings where pending_restart order by name",
  );
  return rows.map(({ name }) => name);
}

/** When this session last read the configuration, as text that changes each time. */
async function configurationTime(client: Client): Promise<string> {
  const { rows } = await client.query<{ time: string }>("select pg_catalog.pg_conf_load_time()::text as time");
  return rows[0]?.time ?? "";
}

async function endForbiddenSessions(client: Client, { forcesTls, isPublic }: ManagedDatabase): Promise<void> {
  await client.query(
    `select pg_catalog.pg_terminate_backend(pid)
     from pg_catalog.pg_stat_activity join pg_catalog.pg_stat_ssl using (pid)
     where client_addr is not null
       and (($1 and not ssl) or ($2 and not (client_addr <<= '127.0.0.0/8' or client_addr = '::1')))`,
    [forcesTls, !isPublic],
  );
}

/** Lines of pg_hba.conf for everybody but the superuser. */
export function accessRules({ forcesTls, isPublic }: Pick<ManagedDatabase, "forcesTls" | "isPublic">): string[] {
  const type = forcesTls ? "hostssl" : "host";
  // `samehost` is every address of this machine: tunnels and what else reaches the database from here.
  const from = isPublic ? "all" : "samehost";
  return [
    // The word "all" in the database column doesn't match replication: it needs lines of its own.
    `local replication ${REPLICATION_ROLE} scram-sha-256`,
    `${type} replication ${REPLICATION_ROLE} ${from} scram-sha-256`,
    "local all all scram-sha-256",
    `${type} all all ${from} scram-sha-256`,
  ];
}

/** Renews the server's certificate when its end is near and has the server read it. For a daily call. */
export async function renewCertificate(host: ManagedHost, database: ManagedDatabase): Promise<"kept" | "renewed"> {
  const outcome = await ensureCertificate(host, database);
  if (outcome === "renewed") await reconfigureDatabase(host, database);
  return outcome;
}

/**
 * Stops the server and deletes all that it had on this machine, its data first of all. May be called again after an
 * interruption, and for a database that was never made. A supervisor must have let go of it before.
 */
export async function removeManagedDatabase(
  host: ManagedHost,
  database: Pick<ManagedDatabase, "addonId"> & { readonly port: number | null },
  { signal }: { readonly signal?: AbortSignal } = {},
): Promise<void> {
  const folder = managedFolder(host, database);
  const cancellation = signal === undefined ? {} : { signal };
  for (const name of await listDataFolders(folder)) {
    const dataFolder = join(folder, name);
    await stopServer({ dataFolder }, { clock: host.clock, fastTimeoutMs: REMOVAL_STOP_TIMEOUT_MS, ...cancellation });
  }
  // Half-deleted data must not look like a server: it loses its name first.
  const doomed = `${folder}.removed`;
  await rm(doomed, { recursive: true, force: true });
  await renameIfPresent(folder, doomed);
  await rm(doomed, { recursive: true, force: true });
  // One that never had a port was never started; a copy's data may lie in its folder all the same.
  if (database.port === null) return;
  const socket = join(host.runtimeFolder, `.s.PGSQL.${database.port}`);
  await rm(socket, { force: true });
  await rm(`${socket}.lock`, { force: true });
}

/** For pg_dump and its watcher, on this machine. */
export function backupConnection(host: ManagedHost, database: ManagedDatabase, password: string): Connection {
  return { ...socketOf(host, database), user: BACKUP_ROLE, password, database: database.name };
}

/** For the replication protocol, and for SQL about it in the database `postgres`. */
export function replicationConnection(host: ManagedHost, database: ManagedDatabase, password: string): Connection {
  return { ...socketOf(host, database), user: REPLICATION_ROLE, password, database: "postgres" };
}

/** As the database's owner, on this machine. Clients elsewhere are told an address and a port instead of a socket. */
export function ownerConnection(host: ManagedHost, database: ManagedDatabase, password: string): Connection {
  return { ...socketOf(host, database), user: database.name, password, database: database.name };
}

function socketOf(host: ManagedHost, database: ManagedDatabase): Pick<Connection, "host" | "port"> {
  return { host: host.runtimeFolder, port: database.port };
}

/** Where all that the database has on this machine lies. */
/** Where the server of this addon logs. */
export function databaseLogFile(home: string, addonId: string): string {
  return logFile({ folder: managedFolder({ home }, { addonId }) });
}

export function managedFolder(host: Pick<ManagedHost, "home">, database: Pick<ManagedDatabase, "addonId">): string {
  return join(host.home, "databases", database.addonId);
}

function dataFolderOf(host: ManagedHost, database: Pick<ManagedDatabase, "addonId" | "dataFolderName">): string {
  return join(managedFolder(host, database), database.dataFolderName);
}

async function ensureCertificate(host: ManagedHost, database: ManagedDatabase): Promise<"kept" | "renewed"> {
  const address = WILDCARD_ADDRESSES.has(host.bind) ? [] : [host.bind];
  const name = database.hostName === undefined ? [] : [database.hostName];
  return ensureServerCertificate(host.authority, {
    folder: join(managedFolder(host, database), "tls"),
    hosts: [...address, ...name],
    user: host.user,
    now: host.clock.now(),
  });
}

function tlsSettings(folder: string): Record<string, string> {
  return {
    ssl: "on",
    ssl_cert_file: join(folder, "tls", "server.crt"),
    ssl_key_file: join(folder, "tls", "server.key"),
    ssl_min_protocol_version: "TLSv1.2",
  };
}

async function freeDiskBytes(folder: string): Promise<number> {
  const { bavail, bsize } = await statfs(folder);
  return bavail * bsize;
}

/** Asked of the program itself: it refuses a value that it wasn't built for. */
async function supportsLz4(programs: Programs, user: ServiceUser): Promise<boolean> {
  const question = ["-C", "wal_compression", "-c", "wal_compression=lz4", "-c", "config_file=/dev/null", "-D", "/"];
  return execute(programPath(programs, "postgres"), question, {
    ...spawnIdentity(user),
    cwd: "/",
    timeout: QUESTION_TIMEOUT_MS,
  }).then(
    () => true,
    () => false,
  );
}

async function renameIfPresent(from: string, to: string): Promise<void> {
  try {
    await rename(from, to);
  } catch (error) {
    if (systemErrorCode(error) !== "ENOENT") throw error;
  }
}

import { once } from "node:events";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { DatabaseError } from "pg";
import { z } from "zod";
import type { Clock } from "../core/clock.ts";
import { TidemarkError, isErrorCode, systemErrorCode } from "../core/errors.ts";
import { type Lsn, parseLsn } from "../core/lsn.ts";
import { type Connection, withSession } from "../postgres/connection.ts";
import { type Programs, programPath } from "../postgres/programs.ts";
import { type ConfinedProcess, startConfined } from "./confined-process.ts";
import { type FileOwner, writeOwnedFile } from "./owned-files.ts";

/** Its socket lies in a folder of its own, so any port does. */
export const RECOVERY_PORT = 5432;
/** A fast shutdown writes a checkpoint of what replay has left in memory. */
const STOP_TIMEOUT_MS = 120_000;
const LOG_TAIL_BYTES = 2000;
/** SQLSTATE object_not_in_prerequisite_state: "recovery is not in progress". */
const NOT_IN_RECOVERY = "55000";
/** invalid_authorization_specification: there is no such role, or it may not log in. */
const ROLE_REFUSED = "28000";
const APPLICATION_NAME = "tidemark restore";
/** Every cluster has it and takes connections to it. */
const DATABASE = "template1";
/** Only the server's own user can reach the socket. */
const ACCESS = "local all all trust\n";

export interface RecoveryServerOptions {
  readonly dataFolder: string;
  /** Folders of its tablespaces. */
  readonly tablespaceFolders: readonly string[];
  /** Private to the owner, and short: a socket's path has 107 bytes at most. */
  readonly runFolder: string;
  readonly programs: Programs;
  readonly owner: FileOwner | undefined;
  /** Roles of which the cluster has one that may log in, tried in this order. */
  readonly roles: readonly [string, ...string[]];
  readonly settings: readonly (readonly [name: string, value: string])[];
  readonly clock: Clock;
}

export type ReplayState =
  /** It takes no connections yet. */
  | { readonly kind: "starting" }
  | { readonly kind: "replaying" | "paused" | "open"; readonly lsn: Lsn | undefined; readonly until: Date | undefined };

const stateRow = z.object({
  recovering: z.boolean(),
  lsn: z.string().nullable(),
  state: z.string().nullable(),
  until: z.date().nullable(),
});

/** A server on a private socket that recovers a data folder, and can write nowhere else where the machine allows that. */
export class RecoveryServer {
  readonly #options: RecoveryServerOptions;
  readonly #process: ConfinedProcess;
  #isOver = false;
  /** The one that is asked as: the first, until it is refused. */
  #role: string;

  /** @throws `server_start_failed` when the program can't be run */
  static async start(options: RecoveryServerOptions): Promise<RecoveryServer> {
    const { dataFolder, runFolder, tablespaceFolders, programs, owner } = options;
    for (const [name, text] of [
      ["postgresql.conf", ""],
      ["pg_hba.conf", ACCESS],
      ["pg_ident.conf", ""],
      ["server.log", ""],
    ] as const)
      await writeOwnedFile(join(runFolder, name), text, owner);
    const log = await open(join(runFolder, "server.log"), "a");
    const settings = options.settings.flatMap(([name, value]) => ["-c", `${name}=${value}`]);
    try {
      const started = await startConfined({
        program: programPath(programs, "postgres"),
        arguments: ["-D", dataFolder, ...settings],
        writableFolders: [dataFolder, runFolder, ...tablespaceFolders],
        environment: { PATH: "/usr/bin:/bin:/usr/local/bin", LC_ALL: "C" },
        log: log.fd,
        owner,
      });
      return new RecoveryServer(options, started);
    } catch (error) {
      throw new TidemarkError("server_start_failed", `Cannot run "${programPath(programs, "postgres")}"`, {
        cause: error,
      });
    } finally {
      await log.close();
    }
  }

  private constructor(options: RecoveryServerOptions, started: ConfinedProcess) {
    this.#options = options;
    this.#process = started;
    [this.#role] = options.roles;
    const { child } = started;
    this.#isOver = child.exitCode !== null || child.signalCode !== null;
    child.once("exit", () => {
      this.#isOver = true;
    });
  }

  /** For whoever asks the copy, over its socket. */
  get connection(): Connection {
    return { host: this.#options.runFolder, port: RECOVERY_PORT, user: this.#role, database: DATABASE };
  }

  get pid(): number | undefined {
    return this.#process.pid;
  }

  /** It has ended, for whatever reason. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** @throws `recovery_failed` when the server refuses the role */
  async replayState(signal: AbortSignal | undefined): Promise<ReplayState> {
    const session = { applicationName: APPLICATION_NAME, ...(signal === undefined ? {} : { signal }) };
    try {
      return await withSession(this.connection, session, async (client) => {
        const { rows } = await client.query(
          `select pg_is_in_recovery() as recovering, pg_last_wal_replay_lsn()::text as lsn, pg_last_xact_replay_timestamp() as until,
                  case when pg_is_in_recovery() then pg_get_wal_replay_pause_state() end as state`,
        );
        const { recovering, lsn, state, until } = stateRow.parse(rows[0]);
        const kind = recovering ? (state === "paused" ? "paused" : "replaying") : "open";
        return { kind, lsn: lsn === null ? undefined : parseLsn(lsn), until: until ?? undefined };
      });
    } catch (error) {
      if (isErrorCode(error, "server_not_running")) return { kind: "starting" };
      if (!(error instanceof DatabaseError)) throw error;
      // Recovery ended between two functions of the query: the next look tells.
      if (error.code === NOT_IN_RECOVERY) return { kind: "starting" };
      const next = this.#options.roles[this.#options.roles.indexOf(this.#role) + 1];
      if (error.code === ROLE_REFUSED && next !== undefined) {
        this.#role = next;
        return this.replayState(signal);
      }
      throw new TidemarkError("recovery_failed", `Cannot ask the recovering server as role "${this.#role}"`, {
        hint: "Name a role of this cluster that may log in",
        cause: error,
      });
    }
  }

  /** What `pg_ctl promote` does: a file, and a signal to look for it. */
  async promote(): Promise<void> {
    await writeOwnedFile(join(this.#options.dataFolder, "promote"), "", this.#options.owner);
    this.#signal("SIGUSR1");
  }

  /** Leaves it running after this process has ended. */
  release(): void {
    this.#process.child.unref();
  }

  /** Fast, then immediate, then by force. May be called for one that is over. */
  async close(): Promise<void> {
    for (const ending of ["SIGINT", "SIGQUIT", "SIGKILL"] as const) {
      if (this.#isOver) return;
      const exit = once(this.#process.child, "exit");
      this.#signal(ending);
      const wait = new AbortController();
      const timeout = this.#options.clock.sleep(STOP_TIMEOUT_MS, wait.signal).catch(() => undefined);
      await Promise.race([exit, timeout]);
      wait.abort();
    }
  }

  #signal(signal: NodeJS.Signals): void {
    const { pid } = this.#process;
    if (this.#isOver || pid === undefined) return;
    try {
      process.kill(pid, signal);
    } catch (error) {
      // It has ended, and its exit will be told in a moment.
      if (systemErrorCode(error) !== "ESRCH") throw error;
    }
  }

  /** The end of what it wrote. */
  async logTail(): Promise<string> {
    const file = await open(join(this.#options.runFolder, "server.log"), "r");
    try {
      const { size } = await file.stat();
      const length = Math.min(size, LOG_TAIL_BYTES);
      const { buffer } = await file.read(Buffer.alloc(length), 0, length, size - length);
      return buffer.toString("utf8").trim();
    } finally {
      await file.close();
    }
  }
}

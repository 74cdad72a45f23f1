import { readFile } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { Client } from "pg";
import { childProcesses, waitFor } from "../harness/platform.ts";
import type { BackupScene } from "./backup-scene.ts";

/** So much of the large table has been sent when a dump counts as half-way. */
const SENT_BYTES_MIN = 2 * 1024 * 1024;
/** The dump of the scene's data takes a second at least. */
const LOOK_INTERVAL_MS = 10;
const HALF_WAY_DEADLINE_MS = 60_000;

export interface StalledDump {
  /** Of pg_dump. */
  readonly pid: number;
  /** Lets it go on. Nothing happens when it is gone. */
  resume(): void;
}

/** Waits until pg_dump has sent part of the large table, and stops it there (SIGSTOP). Call it right after a backup was asked for. */
export async function stallDump(scene: BackupScene): Promise<StalledDump> {
  const client = new Client(await scene.superuser());
  await client.connect();
  try {
    const pid = await dumpPid(scene);
    await untilHalfWay(client);
    process.kill(pid, "SIGSTOP");
    return { pid, resume: () => signal(pid, "SIGCONT") };
  } finally {
    await client.end();
  }
}

async function untilHalfWay(client: Client): Promise<void> {
  const deadlineMs = performance.now() + HALF_WAY_DEADLINE_MS;
  for (;;) {
    const { rowCount } = await client.query(
      `select from pg_stat_progress_copy join pg_stat_activity using (pid)
       where application_name like 'tidemark-dump-%' and bytes_processed > $1`,
      [SENT_BYTES_MIN],
    );
    if (rowCount !== 0) return;
    if (performance.now() > deadlineMs) throw new Error("No dump was met half-way");
    await delay(LOOK_INTERVAL_MS);
  }
}

/** Process id of the pg_dump that the worker runs now. */
export async function dumpPid(scene: BackupScene): Promise<number> {
  let found: number | undefined;
  await waitFor(async () => {
    const children = await childProcesses(await scene.platform.workerPid());
    found = children.find(({ command }) => command.includes("/pg_dump "))?.pid;
    return found !== undefined;
  }, "a running pg_dump");
  return found ?? 0;
}

/** Waits until a process has ended; a zombie has. */
export async function untilGone(pid: number): Promise<void> {
  await waitFor(async () => {
    const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => ") Z ");
    return stat.includes(") Z ");
  }, `the end of process ${pid}`);
}

/** A process that is gone already is no failure. */
export function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // It has ended.
  }
}

import { rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";
import { captureBaseBackup } from "../src/capture/base-backup.ts";
import { systemClock } from "../src/core/clock.ts";
import { newObjectId } from "../src/core/ids.ts";
import { parseLsn } from "../src/core/lsn.ts";
import type { PhysicalArchive } from "../src/repository/physical-archive.ts";
import { collectCleanUps } from "../test/harness/clean-ups.ts";
import { makePhysicalArchive } from "../test/harness/physical-archive.ts";
import { type PostgresServer, makeServerFolder, startPostgresServer } from "../test/harness/postgres-server.ts";
import { restore } from "../test/harness/restored-server.ts";
import type { CleanUp } from "../test/harness/temp-folder.ts";
import { makeTempFolder } from "../test/harness/temp-folder.ts";
import { receiveWal, until, untilStored } from "../test/harness/wal-scene.ts";
import { type Contender, type Result, inShell, race } from "./contenders.ts";
import { openStanza, pgBackRestVersion } from "./pgbackrest.ts";
import { growSampleDatabase } from "./sample-database.ts";
import { MB, markdownTable } from "./statistics.ts";

const DEFAULT_SIZE_MB = 5120;
const DEFAULT_WAL_MB = 2048;
const DEFAULT_ROUNDS = 3;
/** Of the log that each step writes, some is of new pages and some of changed ones, as applications write it. */
const STEP_ROWS = 20_000;
const STEP_SHARE = 97;
/** Replay of gigabytes takes minutes, and has no deadline here. */
const RECOVERY_POLL_MS = 50;
/** What every restored copy runs with, whoever restored it. */
const COPY_SETTINGS = { archive_mode: "off", shared_buffers: "256MB", fsync: "on" };

const NOTES = `Seconds: from nothing to a server that is out of recovery and takes connections. CPU s: the contender's processes and, as they end in its time, the
recovering server's. tidemark decrypts, checks each file against PostgreSQL's manifest and each piece of log against its hash, syncs, finds the target by the
indexes of the log first, promotes, stops the copy and starts it again under its own settings. pgBackRest checks hashes too, isn't encrypted, fetches the log ahead
(archive-async) and recovers in the server that stays.`;

/** A restore to the latest moment against pgBackRest, alternating in one run. */
export async function benchRestore(args: readonly string[], write: (text: string) => void): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      "size-mb": { type: "string", default: String(DEFAULT_SIZE_MB) },
      "wal-mb": { type: "string", default: String(DEFAULT_WAL_MB) },
      rounds: { type: "string", default: String(DEFAULT_ROUNDS) },
    },
  });
  const cleanUps = collectCleanUps();
  try {
    const { contenders, rows } = await prepare(cleanUps, {
      sizeMb: Number(values["size-mb"]),
      walMb: Number(values["wal-mb"]),
      write,
    });
    const results = await race({ contenders, rounds: Number(values.rounds), write });
    write(`\n${table(results)}\n\n${rows} rows in every copy.\n${NOTES}\n`);
  } finally {
    await cleanUps.run();
  }
}

interface Amounts {
  readonly sizeMb: number;
  readonly walMb: number;
  readonly write: (text: string) => void;
}

/** A server with its backups in both repositories, and the same log after them. It is stopped, so that it takes nothing from the contenders. */
async function prepare(
  cleanUp: CleanUp,
  { sizeMb, walMb, write }: Amounts,
): Promise<{ readonly contenders: readonly Contender[]; readonly rows: string }> {
  const server = await startPostgresServer(cleanUp, {
    settings: { shared_buffers: "256MB", max_wal_size: "8GB", archive_mode: "on" },
  });
  await server.query("alter system set archive_command = 'true'");
  await server.query("select pg_reload_conf()");
  write(`Filling a database up to ${sizeMb} MB\n`);
  await growSampleDatabase(server, sizeMb);
  const archive = await makePhysicalArchive(cleanUp);
  const { receiver } = await receiveWal(cleanUp, server, archive);
  await until(receiver, ({ durable }) => durable !== undefined);
  const stanza = (await pgBackRestVersion()) === undefined ? undefined : await openStanza(cleanUp, server);
  write("Taking the backups\n");
  await backUp(archive, server, receiver);
  if (stanza !== undefined) await inShell(`${stanza.command} --type=full --compress-level=1 backup`);
  write(`Writing ${walMb} MB of log\n`);
  await writeLog(server, walMb);
  const rows = await countRows(server);
  await server.query("select pg_switch_wal()");
  await untilStored(receiver, server);
  if (stanza !== undefined) await inShell(`${stanza.command} check`);
  await receiver.close();
  await server.stop();
  const contenders = [ours(archive, rows)];
  if (stanza !== undefined) contenders.push(await pgBackRest(cleanUp, stanza, rows));
  return { contenders, rows };
}

async function backUp(
  archive: PhysicalArchive,
  server: PostgresServer,
  receiver: Awaited<ReturnType<typeof receiveWal>>["receiver"],
): Promise<void> {
  const { lineage } = receiver.status;
  if (lineage === undefined) throw new Error("The receiver has no lineage");
  await captureBaseBackup(
    archive,
    {
      backupId: newObjectId(new Date()),
      lineage,
      systemId: await server.value("select system_identifier::text from pg_control_system()"),
      label: "tidemark bench",
      checkpoint: "fast",
      target: { client: server.client(), applicationName: "tidemark_bench" },
      clock: systemClock,
      waitForWal: ({ stop }) => until(receiver, ({ durable }) => durable !== undefined && durable.lsn >= stop),
    },
    new AbortController().signal,
  );
}

async function writeLog(server: PostgresServer, walMb: number): Promise<void> {
  const begin = parseLsn(await server.value("select pg_current_wal_lsn()"));
  for (let step = 0; ; step++) {
    const written = parseLsn(await server.value("select pg_current_wal_lsn()")) - begin;
    if (written >= BigInt(walMb * MB)) return;
    await server.query(`insert into measurements select * from measurements limit ${STEP_ROWS}`);
    await server.query("update customers set balance = balance + 1 where id % $1 = $2", [
      STEP_SHARE,
      step % STEP_SHARE,
    ]);
  }
}

async function countRows(server: PostgresServer): Promise<string> {
  return server.value("select (select count(*) from measurements) + (select sum(balance) from customers)");
}

function ours(archive: PhysicalArchive, rows: string): Contender {
  const run = collectCleanUps();
  return {
    name: "tidemark (encrypted)",
    async run() {
      const { folder } = await restore(run, archive, { target: { kind: "latest" } });
      await startCopy(run, folder, rows);
      return { sizeBytes: Number.NaN };
    },
    clear: () => run.run(),
  };
}

async function pgBackRest(
  cleanUp: CleanUp,
  stanza: Awaited<ReturnType<typeof openStanza>>,
  rows: string,
): Promise<Contender> {
  const parent = await makeTempFolder(cleanUp);
  const spool = join(parent, "spool");
  await makeServerFolder(parent);
  await makeServerFolder(spool);
  const run = collectCleanUps();
  const folder = join(parent, "data");
  const ahead = `--archive-async --spool-path=${spool} --archive-get-queue-max=1GiB`;
  return {
    name: `${await pgBackRestVersion()} process-max=2 zst 1`,
    async prepare() {
      await makeServerFolder(folder);
    },
    async run() {
      const get = `${stanza.command} --pg1-path=${folder} ${ahead} archive-get %f %p`;
      const option = `--recovery-option=restore_command=${get}`;
      const { peakMemoryBytes } = await inShell(
        `${stanza.command} --pg1-path=${folder} --spool-path=${spool} "${option}" restore`,
      );
      await startCopy(run, folder, rows);
      return { sizeBytes: Number.NaN, peakMemoryBytes };
    },
    async clear() {
      await run.run();
      for (const used of [folder, spool]) await rm(used, { recursive: true, force: true });
      await makeServerFolder(spool);
    },
  };
}

/** Starts a copy, waits until it is out of recovery, and makes sure that it holds everything. */
async function startCopy(cleanUp: CleanUp, folder: string, rows: string): Promise<void> {
  const copy = await startPostgresServer(cleanUp, { dataFolder: folder, settings: COPY_SETTINGS });
  while ((await copy.value("select pg_is_in_recovery()")) === "true") await delay(RECOVERY_POLL_MS);
  const found = await countRows(copy);
  if (found !== rows) throw new Error(`The copy has ${found} instead of ${rows}`);
  await copy.stop();
}

function table(results: readonly Result[]): string {
  const [reference] = results;
  const rows = results.map((result) => [
    result.name,
    result.seconds.toFixed(1),
    result.processorSeconds.toFixed(1),
    `${(result.seconds / (reference?.seconds ?? Number.NaN)).toFixed(2)}x`,
  ]);
  return markdownTable(["contender", "median s", "CPU s", "time against ours"], rows);
}

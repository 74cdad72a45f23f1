import { readFile, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import {
  type PostgresServer,
  makeServerFolder,
  program,
  startPostgresServer,
} from "../test/harness/postgres-server.ts";
import { collectCleanUps } from "../test/harness/clean-ups.ts";
import { type CleanUp, makeTempFolder } from "../test/harness/temp-folder.ts";
import { type CaptureProcess, dropSlots, startCaptureProcess } from "./capture-process.ts";
import { type Contender, type Result, inShell, race } from "./contenders.ts";
import { pgBackRestContenders } from "./pgbackrest.ts";
import { growSampleDatabase } from "./sample-database.ts";
import { MB, markdownTable } from "./statistics.ts";

const DEFAULT_SIZE_MB = 5120;
const DEFAULT_ROUNDS = 3;
const LEVELS = [1, 3];
const ZSTD_THREADS = 2;

const NOTES = `CPU s: the program's own processes. Server CPU s: PostgreSQL meanwhile (its sender; for pgBackRest, which reads the files itself, its archiving).
Peak RSS: processes added up, what they share counted for each.
tidemark checks page checksums while they pass, encrypts, syncs what it stored, waits until its receiver has stored the log of the backup, and reads nothing
twice. pgBackRest checks pages, syncs and waits for its archive too, but doesn't encrypt. pg_basebackup | zstd has the server check pages, and doesn't encrypt,
sync or keep any log.`;

/** A base backup against `pg_basebackup | zstd` and pgBackRest, alternating in one run. */
export async function benchBaseBackup(args: readonly string[], write: (text: string) => void): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      "size-mb": { type: "string", default: String(DEFAULT_SIZE_MB) },
      rounds: { type: "string", default: String(DEFAULT_ROUNDS) },
    },
  });
  const cleanUps = collectCleanUps();
  try {
    const server = await startFilledServer(cleanUps, Number(values["size-mb"]), write);
    const contenders = [
      ...LEVELS.map((level) => ours(cleanUps, server, level)),
      ...(await pgBaseBackupContenders(cleanUps, server)),
      ...(await pgBackRestContenders(cleanUps, server, LEVELS)),
    ];
    const serverPid = Number.parseInt(await readFile(join(server.dataFolder, "postmaster.pid"), "utf8"), 10);
    const results = await race({ contenders, rounds: Number(values.rounds), serverPid, write });
    const sizeBytes = Number(await server.value("select sum(pg_database_size(oid)) from pg_database"));
    write(`\n${table(results, sizeBytes)}\n\n${NOTES}\n`);
  } finally {
    await cleanUps.run();
  }
}

async function startFilledServer(
  cleanUp: CleanUp,
  sizeMb: number,
  write: (text: string) => void,
): Promise<PostgresServer> {
  const server = await startPostgresServer(cleanUp, {
    settings: { shared_buffers: "256MB", max_wal_size: "8GB", archive_mode: "on" },
  });
  // Nobody wants the log of the filling.
  await server.query("alter system set archive_command = 'true'");
  await server.query("select pg_reload_conf()");
  write(`Filling a database up to ${sizeMb} MB\n`);
  await growSampleDatabase(server, sizeMb);
  return server;
}

/** With a receiver of the server's log beside it, as on the platform. */
function ours(cleanUp: CleanUp, server: PostgresServer, level: number): Contender {
  let running: CaptureProcess | undefined;
  return {
    name: `tidemark zstd ${level} (encrypted)`,
    async prepare() {
      running = await startCaptureProcess(cleanUp, server, { streamCount: 1, zstdLevel: level });
    },
    async run() {
      if (running === undefined) throw new Error("The contender was not prepared");
      const before = await running.usage();
      const { storedBytes } = await running.backUp();
      const after = await running.usage();
      return {
        sizeBytes: storedBytes,
        processorSeconds: after.processorSeconds - before.processorSeconds,
        peakMemoryBytes: after.peakMemoryBytes,
      };
    },
    async clear() {
      await running?.close();
      await dropSlots(server);
    },
  };
}

async function pgBaseBackupContenders(cleanUp: CleanUp, server: PostgresServer): Promise<Contender[]> {
  const folder = join(await makeTempFolder(cleanUp), "out");
  await makeServerFolder(folder);
  const file = join(folder, "base.tar.zst");
  const source = `${program("pg_basebackup")} --host=${server.folder} --port=${server.port} --username=postgres`;
  const tar = `${source} --format=tar --pgdata=- --wal-method=none --checkpoint=fast`;
  return LEVELS.map((level) => ({
    name: `pg_basebackup -Ft, zstd -${level} -T${ZSTD_THREADS}`,
    async run() {
      const { peakMemoryBytes } = await inShell(
        `${tar} 2>/dev/null | zstd -${level} -T${ZSTD_THREADS} --quiet > ${file}`,
      );
      return { peakMemoryBytes, sizeBytes: (await stat(file)).size };
    },
    clear: () => rm(file, { force: true }),
  }));
}

function table(results: readonly Result[], sizeBytes: number): string {
  const [reference] = results;
  const rows = results.map((result) => [
    result.name,
    result.seconds.toFixed(1),
    (sizeBytes / MB / result.seconds).toFixed(0),
    result.processorSeconds.toFixed(1),
    result.serverSeconds.toFixed(1),
    (result.peakMemoryBytes / MB).toFixed(0),
    (result.sizeBytes / MB).toFixed(1),
    `${(result.seconds / (reference?.seconds ?? Number.NaN)).toFixed(2)}x`,
  ]);
  return markdownTable(
    ["contender", "median s", "MB/s", "CPU s", "server CPU s", "peak RSS MB", "stored MB", "time against ours"],
    rows,
  );
}

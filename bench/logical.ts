import { rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { makeCapturePlace } from "../test/harness/logical-capture.ts";
import {
  makeServerFolder,
  program,
  startPostgresServer,
  type PostgresServer,
} from "../test/harness/postgres-server.ts";
import { makeTempFolder, type CleanUp } from "../test/harness/temp-folder.ts";
import { type Contender, type Result, inShell, race } from "./contenders.ts";
import { fillSampleDatabase } from "./sample-database.ts";
import { MB, markdownTable } from "./statistics.ts";

const DEFAULT_SIZE_MB = 2048;
const DEFAULT_ROUNDS = 3;

/**
 * A logical backup against `pg_dump -Fc -Z6` and `pg_dump | gzip -6`, alternating in one run. Ours encrypts, reads everything back and compares it;
 * the others do neither.
 */
export async function benchLogical(args: readonly string[], write: (text: string) => void): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      "size-mb": { type: "string", default: String(DEFAULT_SIZE_MB) },
      rounds: { type: "string", default: String(DEFAULT_ROUNDS) },
    },
  });
  const sizeMb = Number(values["size-mb"]);
  const cleanUps: (() => Promise<void>)[] = [];
  const cleanUp: CleanUp = { after: (clean) => cleanUps.push(clean) };
  try {
    const server = await startPostgresServer(cleanUp, { settings: { shared_buffers: "256MB", max_wal_size: "8GB" } });
    write(`Filling a database with ${sizeMb} MB\n`);
    await fillSampleDatabase(server, sizeMb);
    const contenders = await makeContenders(cleanUp, server);
    const results = await race({ contenders, rounds: Number(values.rounds), write });
    write(`\n${table(results, sizeMb)}\n`);
  } finally {
    for (const clean of cleanUps.toReversed()) await clean();
  }
}

async function makeContenders(cleanUp: CleanUp, server: PostgresServer): Promise<Contender[]> {
  const place = await makeCapturePlace(cleanUp, server);
  const folder = join(await makeTempFolder(cleanUp), "out");
  await makeServerFolder(folder);
  const dump = `${program("pg_dump")} --host=${server.folder} --port=${server.port} --username=postgres`;
  const shell = (name: string, command: string, file: string): Contender => ({
    name,
    async run() {
      const { peakMemoryBytes } = await inShell(`${command} > ${file}`);
      return { sizeBytes: (await stat(file)).size, peakMemoryBytes };
    },
    async clear() {
      await rm(file);
    },
  });
  return [
    {
      name: "tidemark (encrypted, verified)",
      async run() {
        const { archive } = await place.capture();
        await place.repository.store.delete(archive.key);
        return { sizeBytes: archive.storedSizeBytes };
      },
    },
    shell("pg_dump -Fc -Z6", `${dump} --format=custom --compress=6 postgres`, join(folder, "custom.dump")),
    shell("pg_dump | gzip -6", `${dump} postgres | gzip -6`, join(folder, "plain.sql.gz")),
  ];
}

/** Processor time is that of the programs and of ours, without the server's, which is the same for all. */
function table(results: readonly Result[], sizeMb: number): string {
  const [ours] = results;
  const rows = results.map((result) => [
    result.name,
    result.seconds.toFixed(1),
    (sizeMb / result.seconds).toFixed(0),
    result.processorSeconds.toFixed(1),
    (result.sizeBytes / MB).toFixed(1),
    `${(result.seconds / (ours?.seconds ?? Number.NaN)).toFixed(2)}x`,
  ]);
  return markdownTable(["contender", "median s", "MB/s", "CPU s", "stored MB", "time against ours"], rows);
}

import { spawn } from "node:child_process";
import { once } from "node:events";
import { rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { makeCapturePlace } from "../test/harness/logical-capture.ts";
import {
  makeServerFolder,
  program,
  serverUser,
  startPostgresServer,
  type PostgresServer,
} from "../test/harness/postgres-server.ts";
import { makeTempFolder, type CleanUp } from "../test/harness/temp-folder.ts";
import { processorSeconds } from "./processor-time.ts";
import { fillSampleDatabase } from "./sample-database.ts";

const DEFAULT_SIZE_MB = 2048;
const DEFAULT_ROUNDS = 3;
const MB = 1_000_000;

interface Contender {
  readonly name: string;
  /** Takes one backup and gives its size in bytes. */
  run(): Promise<number>;
}

interface Measurement {
  readonly seconds: number;
  readonly processorSeconds: number;
  readonly sizeBytes: number;
}

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
    const results = await alternate(contenders, Number(values.rounds), write);
    write(`\n${table(contenders, results, sizeMb)}\n`);
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
      await inShell(`${command} > ${file}`);
      const { size } = await stat(file);
      await rm(file);
      return size;
    },
  });
  return [
    {
      name: "tidemark (encrypted, verified)",
      async run() {
        const { archive } = await place.capture();
        await place.repository.store.delete(archive.key);
        return archive.storedSizeBytes;
      },
    },
    shell("pg_dump -Fc -Z6", `${dump} --format=custom --compress=6 postgres`, join(folder, "custom.dump")),
    shell("pg_dump | gzip -6", `${dump} postgres | gzip -6`, join(folder, "plain.sql.gz")),
  ];
}

async function inShell(command: string): Promise<void> {
  const child = spawn("bash", ["-o", "pipefail", "-c", command], {
    stdio: ["ignore", "inherit", "inherit"],
    ...(await serverUser()),
  });
  const [code] = await once(child, "exit");
  if (code !== 0) throw new Error(`It failed: ${command}`);
}

async function alternate(
  contenders: readonly Contender[],
  rounds: number,
  write: (text: string) => void,
): Promise<Map<string, Measurement[]>> {
  const results = new Map<string, Measurement[]>(contenders.map(({ name }) => [name, []]));
  for (let round = 1; round <= rounds; round++) {
    for (const contender of contenders) {
      const measurement = await measure(contender);
      results.get(contender.name)?.push(measurement);
      write(`round ${round}  ${contender.name}: ${measurement.seconds.toFixed(1)} s\n`);
    }
  }
  return results;
}

async function measure(contender: Contender): Promise<Measurement> {
  const processorBefore = await processorSeconds();
  const began = performance.now();
  const sizeBytes = await contender.run();
  const seconds = (performance.now() - began) / 1000;
  return { seconds, processorSeconds: (await processorSeconds()) - processorBefore, sizeBytes };
}

/** A Markdown table. Processor time is that of the programs and of ours, without the server's, which is the same for all. */
function table(contenders: readonly Contender[], results: Map<string, Measurement[]>, sizeMb: number): string {
  const rows = contenders.map(({ name }) => {
    const all = results.get(name) ?? [];
    return {
      name,
      seconds: median(all.map((each) => each.seconds)),
      processor: median(all.map((each) => each.processorSeconds)),
      sizeMb: median(all.map((each) => each.sizeBytes)) / MB,
    };
  });
  const [ours] = rows;
  const lines = rows.map((row) => {
    const times = ours === undefined ? "" : `${(row.seconds / ours.seconds).toFixed(2)}x`;
    const speed = (sizeMb / row.seconds).toFixed(0);
    return `| ${row.name} | ${row.seconds.toFixed(1)} | ${speed} | ${row.processor.toFixed(1)} | ${row.sizeMb.toFixed(1)} | ${times} |`;
  });
  return [
    "| contender | median s | MB/s | CPU s | stored MB | time against ours |",
    "|---|---|---|---|---|---|",
    ...lines,
  ].join("\n");
}

function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? Number.NaN)) / 2;
}

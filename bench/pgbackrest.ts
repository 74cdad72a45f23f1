import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { type PostgresServer, makeServerFolder, serverUser } from "../test/harness/postgres-server.ts";
import { type CleanUp, makeTempFolder } from "../test/harness/temp-folder.ts";
import { type Contender, inShell } from "./contenders.ts";

const run = promisify(execFile);
const STANZA = "bench";
const PROCESSES = 2;

/**
 * pgBackRest with a repository on the same disk, two processes, zstd, small files bundled. It archives the server's log with its own archive_command and,
 * like us, waits for the log of its backup. Its page check is on, since the cluster has checksums; encryption is off, as by default.
 *
 * @param server with archive_mode on, whose archive_command isn't on the command line
 * @param levels of zstd
 * @returns nothing when the program isn't installed
 */
export async function pgBackRestContenders(
  cleanUp: CleanUp,
  server: PostgresServer,
  levels: readonly number[],
): Promise<Contender[]> {
  const version = await pgBackRestVersion();
  if (version === undefined) return [];
  const { command } = await openStanza(cleanUp, server);
  return levels.map((level) => ({
    name: `${version} process-max=${PROCESSES} zst ${level}`,
    async run() {
      const { peakMemoryBytes } = await inShell(`${command} --type=full --compress-level=${level} backup`);
      return { peakMemoryBytes, sizeBytes: await newestBackupBytes(command) };
    },
    clear: async () => void (await inShell(`${command} expire`)),
  }));
}

/** `pgBackRest 2.50`; undefined when it isn't installed. */
export async function pgBackRestVersion(): Promise<string | undefined> {
  const version = await run("pgbackrest", ["version"]).catch(() => undefined);
  return version?.stdout.trim();
}

/** A repository for a server, which archives its log there from now on. @returns the command's words up to its verb */
export async function openStanza(cleanUp: CleanUp, server: PostgresServer): Promise<{ readonly command: string }> {
  const folder = join(await makeTempFolder(cleanUp), "pgbackrest");
  await makeServerFolder(folder);
  const configuration = join(folder, "pgbackrest.conf");
  const settings = [
    "[global]",
    `repo1-path=${folder}/repository`,
    "repo1-bundle=y",
    "repo1-retention-full=1",
    `lock-path=${folder}/lock`,
    `log-path=${folder}`,
    "log-level-file=off",
    "log-level-console=error",
    `process-max=${PROCESSES}`,
    "compress-type=zst",
    "start-fast=y",
    "expire-auto=n",
    `[${STANZA}]`,
    `pg1-path=${server.dataFolder}`,
    `pg1-socket-path=${server.folder}`,
    `pg1-port=${server.port}`,
    "pg1-user=postgres",
  ];
  await writeFile(configuration, `${settings.join("\n")}\n`, { mode: 0o644 });
  const command = `pgbackrest --config=${configuration} --stanza=${STANZA}`;
  await inShell(`${command} stanza-create`);
  await server.query(`alter system set archive_command = '${command} archive-push %p'`);
  await server.query("select pg_reload_conf()");
  await inShell(`${command} check`);
  return { command };
}

async function newestBackupBytes(command: string): Promise<number> {
  const { stdout } = await run("bash", ["-c", `${command} --output=json info`], await serverUser());
  // pgBackRest's documented reply: stanzas, each with its backups, the newest last.
  const stanzas = JSON.parse(stdout) as { backup: { info: { repository: { delta: number } } }[] }[];
  return stanzas[0]?.backup.at(-1)?.info.repository.delta ?? Number.NaN;
}

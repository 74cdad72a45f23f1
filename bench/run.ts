/**
 * Runs one bench and prints its table. README.md beside it says how to read them.
 *
 * Usage: npm run bench -- base-backup [--size-mb 5120] [--rounds 3]
 *        npm run bench -- logical [--size-mb 2048] [--rounds 3]
 *        npm run bench -- restore [--size-mb 5120] [--wal-mb 2048] [--rounds 3]
 *        npm run bench -- wal-delay [--rates-mb 10,50] [--seconds 20]
 *        npm run bench -- wal-streams [--counts 10,100,500,1000] [--seconds 30] [--commit-interval-ms 5000]
 */
import { benchBaseBackup } from "./base-backup.ts";
import { benchCommitDelay } from "./commit-delay.ts";
import { benchLogical } from "./logical.ts";
import { benchManyStreams } from "./many-streams.ts";
import { benchRestore } from "./restore.ts";

const BENCHES: Readonly<Record<string, (args: readonly string[], write: (text: string) => void) => Promise<void>>> = {
  "base-backup": benchBaseBackup,
  logical: benchLogical,
  restore: benchRestore,
  "wal-delay": benchCommitDelay,
  "wal-streams": benchManyStreams,
};

const [name = "", ...args] = process.argv.slice(2);
const bench = BENCHES[name];
if (bench === undefined) {
  process.stderr.write(`Usage: npm run bench -- ${Object.keys(BENCHES).join("|")} [options]\n`);
  process.exitCode = 2;
} else {
  await bench(args, (text) => void process.stdout.write(text));
}

/**
 * Runs one bench and prints its table.
 *
 * Usage: npm run bench -- logical [--size-mb 2048] [--rounds 3]
 */
import { benchLogical } from "./logical.ts";

const BENCHES: Readonly<Record<string, (args: readonly string[], write: (text: string) => void) => Promise<void>>> = {
  logical: benchLogical,
};

const [name = "", ...args] = process.argv.slice(2);
const bench = BENCHES[name];
if (bench === undefined) {
  process.stderr.write(`Usage: npm run bench -- ${Object.keys(BENCHES).join("|")} [options]\n`);
  process.exitCode = 2;
} else {
  await bench(args, (text) => void process.stdout.write(text));
}

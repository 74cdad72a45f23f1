#!/usr/bin/env node
// Starts the command line on the runtime that the project pins. Plain JavaScript, so that any Node.js runs it.
import { spawn } from "node:child_process";
import { existsSync, realpathSync } from "node:fs";
import { constants } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(realpathSync(fileURLToPath(import.meta.url))));
const runtime = findRuntime();

if (runtime === undefined) {
  process.stderr.write(
    ` !     Tidemark's runtime is not installed in ${root}\n       Install it with: npm ci --prefix ${root}\n`,
  );
  process.exitCode = 2;
} else {
  run(runtime, [join(root, "src", "main.ts"), ...process.argv.slice(2)]);
}

/** npm links the runtime of this machine's platform here; the package's own path serves where links were not made. */
function findRuntime() {
  const modules = join(root, "node_modules");
  const packages = [`node-${process.platform}-${process.arch}`, `node-bin-${process.platform}-${process.arch}`];
  const places = [join(modules, ".bin", "node"), ...packages.map((name) => join(modules, name, "bin", "node"))];
  return places.find((place) => existsSync(place));
}

function run(program, args) {
  // Becoming the program leaves nobody in between: signals, terminal and exit code are its own. Node.js 22.15 and later can.
  if (typeof process.execve === "function") process.execve(realpathSync(program), ["node", ...args], process.env);
  const child = spawn(program, args, { stdio: "inherit" });
  const signals = ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2"];
  for (const signal of signals) process.on(signal, () => child.kill(signal));
  child.on("error", (error) => {
    process.stderr.write(` !     Cannot start ${program}: ${error.message}\n`);
    process.exitCode = 2;
  });
  child.on("exit", (code, signal) => {
    if (signal === null) {
      process.exitCode = code ?? 1;
      return;
    }
    // Whoever started us shall see how the program ended.
    for (const handled of signals) process.removeAllListeners(handled);
    process.exitCode = 128 + constants.signals[signal];
    process.kill(process.pid, signal);
  });
}

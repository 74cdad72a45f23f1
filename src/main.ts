import { readFile } from "node:fs/promises";
import { homedir, hostname } from "node:os";
import { fileURLToPath } from "node:url";
import type { CommandLineStreams } from "./cli/streams.ts";
import { runCommandLine } from "./cli/program.ts";
import { defaultHome, type Environment, processEnvironment } from "./config.ts";
import { systemClock } from "./core/clock.ts";
import { ERROR_TABLE } from "./core/errors.ts";

/** The runtime that package.json pins; another one may lack what the program is built on. */
const NODE_MAJOR = 26;

/** The composition root: the only place that makes the real clock, streams and environment, and that ends the process. */
async function main(): Promise<number> {
  const runtimeProblem = checkRuntime();
  if (runtimeProblem !== undefined) {
    process.stderr.write(` !     ${runtimeProblem}\n`);
    return ERROR_TABLE.runtime_mismatch.exit;
  }
  const environment = processEnvironment();
  const version = await readVersion();
  const streams: CommandLineStreams = { stdin: process.stdin, stdout: process.stdout, stderr: process.stderr };
  return await runCommandLine({
    argv: process.argv.slice(2),
    environment,
    streams,
    clock: systemClock,
    version,
    userHome: homedir(),
    defaultHome: defaultHome(),
    hostName: hostname(),
    processId: process.pid,
    onInterrupt(listener) {
      process.on("SIGINT", listener);
      return () => process.off("SIGINT", listener);
    },
    local: {
      serve: ({ roles }) => startServing({ roles, environment, version }),
      async resetOwnerPassword() {
        const { resetOwner } = await import("./serve/reset-owner.ts");
        return await resetOwner({ environment });
      },
      async rebuildIndex({ signal }) {
        const { rebuildIndex } = await import("./serve/rebuild.ts");
        return await rebuildIndex({ environment, clock: systemClock, signal });
      },
    },
  });
}

/** Loaded only here: the commands of users start in a third of the time without it. */
async function startServing({
  roles,
  environment,
  version,
}: {
  roles: string | undefined;
  environment: Environment;
  version: string;
}): Promise<number> {
  const { startServe } = await import("./serve/serve.ts");
  return await startServe({
    roles,
    environment,
    version,
    clock: systemClock,
    process,
    say: (line) => process.stdout.write(`-----> ${line}\n`),
    isTerminal: process.stdout.isTTY,
    dashboardFolder: fileURLToPath(new URL("../dashboard/dist", import.meta.url)),
    program: fileURLToPath(import.meta.url),
  });
}

function checkRuntime(): string | undefined {
  const running = process.versions.node;
  if (Number(running.split(".")[0]) === NODE_MAJOR) return undefined;
  return `Tidemark runs on Node.js ${NODE_MAJOR}, and this is ${running}. Start it with npm start or bin/tidemark.mjs, which use the one that npm ci installed.`;
}

async function readVersion(): Promise<string> {
  const text = await readFile(new URL("../package.json", import.meta.url), "utf8");
  // The file is our own and ships with this one.
  return (JSON.parse(text) as { version: string }).version;
}

// Whatever still holds the event loop after the command has ended (an idle socket, a timer of a library) must not keep the process.
process.exit(await main());

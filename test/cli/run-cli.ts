import { PassThrough } from "node:stream";
import type { CommandLineOptions } from "../../src/cli/command-line-options.ts";
import { runCommandLine } from "../../src/cli/program.ts";
import type { Clock } from "../../src/core/clock.ts";
import { ALICE } from "../http/in-memory-services.ts";

export interface CliRun {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CliSetting {
  readonly environment?: Readonly<Record<string, string>>;
  /** What is typed or piped. Undefined: the input is empty. */
  readonly stdin?: string;
  /** All three streams are a terminal of 80 columns. */
  readonly terminal?: boolean;
  /** Each piece written to standard output, for what is no text. */
  readonly onStdout?: (chunk: Buffer) => void;
  readonly options?: Partial<CommandLineOptions>;
}

/** Time passes at once when somebody sleeps, and each sleep is kept. */
export function instantClock(): Clock & { readonly sleeps: number[] } {
  let nowMs = Date.parse("2026-11-22T14:00:00Z");
  const sleeps: number[] = [];
  return {
    sleeps,
    now: () => new Date(nowMs),
    async sleep(durationMs, signal) {
      signal?.throwIfAborted();
      sleeps.push(durationMs);
      nowMs += durationMs;
    },
  };
}

/** Runs one command line in this process, with streams and surroundings of its own, and collects what it prints. */
export async function runCli(argv: readonly string[], setting: CliSetting = {}): Promise<CliRun> {
  const terminal = setting.terminal === true ? { isTTY: true, columns: 80 } : {};
  const stdin = Object.assign(new PassThrough(), terminal);
  const stdout = Object.assign(new PassThrough(), terminal);
  const stderr = Object.assign(new PassThrough(), terminal);
  if (setting.onStdout !== undefined) stdout.on("data", setting.onStdout);
  stdin.end(setting.stdin ?? "");
  const printed = { stdout: collect(stdout), stderr: collect(stderr) };
  const exitCode = await runCommandLine({
    argv,
    environment: { TZ: "UTC", TIDEMARK_HOME: "/nonexistent", ...setting.environment },
    streams: { stdin, stdout, stderr },
    clock: instantClock(),
    version: "0.1.0",
    userHome: "/nonexistent",
    defaultHome: "/nonexistent",
    hostName: "test-machine",
    processId: process.pid,
    onInterrupt: () => () => undefined,
    local: {
      serve: () => Promise.resolve(0),
      resetOwnerPassword: () => Promise.resolve({ username: "owner", password: "generated" }),
      rebuildIndex: () =>
        Promise.resolve({ databases: 1, recovered: [], logicalBackups: 2, baseBackups: 1, unreadable: [] }),
    },
    ...setting.options,
  });
  return { exitCode, stdout: printed.stdout(), stderr: printed.stderr() };
}

/** Surroundings of alice, logged in to the platform at `url`. */
export function asAlice(url: string): Record<string, string> {
  return { TIDEMARK_URL: url, TIDEMARK_TOKEN: ALICE.apiToken };
}

function collect(stream: PassThrough): () => string {
  const chunks: Buffer[] = [];
  stream.on("data", (chunk: Buffer) => chunks.push(chunk));
  return () => Buffer.concat(chunks).toString("utf8");
}

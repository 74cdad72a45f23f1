import { CommanderError } from "commander";
import { asTidemarkError, ERROR_TABLE, isErrorCode, systemErrorCode, TidemarkError } from "../core/errors.ts";
import { createCall } from "./call.ts";
import { createProgram } from "./command-tree.ts";
import type { ParsedInput } from "./command-tree.ts";
import type { CommandLineOptions } from "./command-line-options.ts";
import type { CommandCall, CommandSpec } from "./command.ts";
import { COMMANDS } from "./commands/all.ts";
import { createOutput } from "./output.ts";
import type { Output } from "./output.ts";
import { readSettings } from "./settings.ts";
import type { CommandLineStreams } from "./streams.ts";

/** After Ctrl+C, as shells have it: 128 and the signal's number. */
const EXIT_INTERRUPTED = ERROR_TABLE.interrupted.exit;
/** The command line itself makes no sense. */
const EXIT_USAGE = ERROR_TABLE.usage.exit;

/**
 * Runs one command and returns the process's exit code: 0 for success (also when standard output was closed before the end), 1 for a failure,
 * 2 for a wrong command line or setting, 130 after Ctrl+C. Prints everything itself and never throws.
 */
export async function runCommandLine(options: CommandLineOptions): Promise<number> {
  const abort = new AbortController();
  const watch = watchOutput(options.streams, abort);
  let exitCode = 0;
  const program = createProgram({
    version: options.version,
    streams: options.streams,
    run: async (spec, parsed) => {
      const globalOptions = program.options.map(({ flags, description: summary }) => ({ flags, summary }));
      exitCode = await runCommand({ spec, parsed, options, abort, program: { commands: COMMANDS, globalOptions } });
    },
  });
  const work = program
    .parseAsync(options.argv.length === 0 ? ["--help"] : [...options.argv], { from: "user" })
    .then(() => exitCode)
    .catch((error: unknown) => commandTreeExitCode(error, options));
  return Promise.race([watch.ended, work.then((code) => watch.flush(code))]);
}

async function runCommand({
  spec,
  parsed,
  options,
  abort,
  program,
}: {
  spec: CommandSpec;
  parsed: ParsedInput;
  options: CommandLineOptions;
  abort: AbortController;
  program: CommandCall["program"];
}): Promise<number> {
  const settings = readSettings(options.environment, options);
  const json = parsed.options["json"] === true;
  const output = createOutput({ streams: options.streams, json, coloursWanted: settings.coloursWanted });
  const interrupt = (): void => abort.abort(new TidemarkError("interrupted", "Stopped by Ctrl+C"));
  const unsubscribe = spec.handlesSignals === true ? undefined : options.onInterrupt(interrupt);
  let exitCode = 0;
  const endWith = (code: number): void => {
    exitCode = code;
  };
  try {
    await spec.run(
      createCall({ parsed, options, settings, output, json, signal: abort.signal, interrupt, endWith, program }),
    );
    return exitCode;
  } catch (error) {
    return failureExitCode(error, { output, signal: abort.signal });
  } finally {
    unsubscribe?.();
  }
}

function failureExitCode(thrown: unknown, { output, signal }: { output: Output; signal: AbortSignal }): number {
  if (isErrorCode(signal.reason, "interrupted")) {
    output.transient("");
    return EXIT_INTERRUPTED;
  }
  const error = asTidemarkError(thrown);
  // Standard output broke, and whoever watches it has told so, if it is to be told. This failure only follows from that one.
  if (signal.aborted) return ERROR_TABLE[error.code].exit;
  output.error(error);
  return ERROR_TABLE[error.code].exit;
}

/** Help and version end commander with an error of code 0; what it can't understand, it has printed already. */
function commandTreeExitCode(error: unknown, options: CommandLineOptions): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : EXIT_USAGE;
  const output = createOutput({ streams: options.streams, json: false, coloursWanted: false });
  const failure = asTidemarkError(error);
  output.error(failure);
  return ERROR_TABLE[failure.code].exit;
}

/**
 * Watches standard output. A reader that has seen enough (`| head`) is no failure: the command is stopped and the program ends with 0. Any other
 * trouble, a full disk say, is one.
 */
function watchOutput(
  { stdout, stderr }: CommandLineStreams,
  abort: AbortController,
): { ended: Promise<number>; flush: (code: number) => Promise<number> } {
  const ended = new Promise<number>((resolve) => {
    stdout.on("error", (error) => {
      const closed = systemErrorCode(error) === "EPIPE";
      if (!closed) stderr.write(` !     Cannot write to standard output: ${error.message}\n`);
      abort.abort(error);
      resolve(closed ? 0 : 1);
    });
  });
  // Nobody is left to tell that standard error was closed.
  stderr.on("error", () => undefined);
  const flush = (code: number): Promise<number> =>
    new Promise((resolve) => {
      // On an error, `ended` gives the code.
      stdout.write("", (error) => (error ? undefined : resolve(code)));
    });
  return { ended, flush };
}

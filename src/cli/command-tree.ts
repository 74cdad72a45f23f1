import { Command } from "commander";
import type { CommandOption, CommandSpec } from "./command.ts";
import { COMMANDS } from "./commands/all.ts";
import { exampleLine } from "./reference.ts";
import type { CommandLineStreams } from "./streams.ts";

/** What commander found for a command: its arguments, and its options together with the global ones. */
export interface ParsedInput {
  /** A list for an argument that gathers all that follow. */
  readonly values: readonly (string | readonly string[] | undefined)[];
  readonly options: Readonly<Record<string, unknown>>;
}

/** The whole command line, with its help, without running anything. Also the source of its reference in the docs. */
export function createProgram({
  version,
  streams,
  run,
}: {
  version: string;
  streams: Pick<CommandLineStreams, "stdout" | "stderr">;
  run: (spec: CommandSpec, input: ParsedInput) => Promise<void>;
}): Command {
  const program = new Command("tidemark")
    .description("Managed PostgreSQL backups: databases, their backups, and the way back.")
    .version(version, "-v, --version", "Print the version")
    .option("-a, --app <name>", "App to work on (or TIDEMARK_APP)")
    .option("--addon <addon>", "Database of the app: postgresql, resource id or id (or TIDEMARK_ADDON)")
    .option("--url <url>", "Address of the platform (or TIDEMARK_URL)")
    .option("--token <token>", "API token; TIDEMARK_TOKEN keeps it out of the list of processes")
    .option("--json", "Print the platform's reply as it is")
    .option("--region <name>", "Ignored: a platform is one region")
    .helpOption("-h, --help", "Show help")
    .helpCommand("help [command]", "Show help")
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({
      writeOut: (text) => void streams.stdout.write(text),
      writeErr: (text) => void streams.stderr.write(text),
      outputError: (text, write) => write(text.replace(/^error: /, " !     ")),
    })
    .showHelpAfterError("       Help: tidemark --help")
    .exitOverride();
  for (const spec of COMMANDS) addCommand(program, spec, run);
  program.addHelpText(
    "after",
    "\nExamples:\n  $ tidemark apps\n  $ tidemark --app my-app --addon postgresql backups\n" +
      "  $ tidemark --app my-app --addon postgresql backups-download",
  );
  return program;
}

function addCommand(
  program: Command,
  spec: CommandSpec,
  run: (spec: CommandSpec, input: ParsedInput) => Promise<void>,
): void {
  const words = spec.name.split(" ");
  const name = words.at(-1) ?? spec.name;
  const command = (words.length === 1 ? program : groupCommand(program, spec)).command(name);
  command
    .summary(spec.summary)
    .description(spec.details === undefined ? spec.summary : `${spec.summary}\n\n${spec.details}`);
  command.helpGroup(`${spec.group}:`).showHelpAfterError(`       Help: tidemark ${spec.name} --help`);
  if (spec.aliases !== undefined) command.aliases([...spec.aliases]);
  for (const argument of spec.arguments ?? []) command.argument(argument.name, argument.summary);
  for (const option of spec.options ?? []) addOption(command, option);
  command.addHelpText("after", `\nExamples:\n${spec.examples.map((line) => `  $ ${exampleLine(line)}`).join("\n")}`);
  command.action(() => run(spec, { values: command.processedArgs, options: command.optsWithGlobals() }));
}

function addOption(command: Command, { flags, summary, isRepeatable }: CommandOption): void {
  if (isRepeatable !== true) command.option(flags, summary);
  else command.option(flags, summary, (value, earlier: readonly string[] | undefined) => [...(earlier ?? []), value]);
}

/** The parent of a command of two words (`owner reset-password`). */
function groupCommand(program: Command, spec: CommandSpec): Command {
  const name = spec.name.split(" ")[0] ?? spec.name;
  const existing = program.commands.find((command) => command.name() === name);
  return existing ?? program.command(name).summary(`Commands about the ${name}`).helpGroup(`${spec.group}:`);
}

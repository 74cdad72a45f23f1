import {
  type Complete,
  type Command as CompletedCommand,
  type Completion,
  RootCommand,
  ShellCompDirective,
} from "@bomb.sh/tab";
import { Option } from "commander";
import type { CommandOption, CommandSpec } from "./command.ts";
import { type CandidateKind, type Candidates, KIND_BY_COMMAND, KIND_BY_OPTION } from "./completion-candidates.ts";

/** The command line as completion sees it. */
export interface CompletedProgram {
  readonly commands: readonly CommandSpec[];
  /** Options that stand before or behind any command. */
  readonly globalOptions: readonly CommandOption[];
}

type Offer = (kind: CandidateKind | undefined) => (complete: Complete) => void;

/**
 * What the last of the words could be, as the shells' scripts read it: a line each, value and description with a tab between, and a last line that
 * says how to take them.
 */
export function completeWords(
  { commands, globalOptions }: CompletedProgram,
  { words, candidates }: { words: readonly string[]; candidates: Candidates },
): string[] {
  const offer: Offer = (kind) => (complete) => {
    for (const { value, description } of (kind === undefined ? undefined : candidates.get(kind)) ?? [])
      complete(value, description);
  };
  const root = new RootCommand();
  addOptions(root, globalOptions, offer);
  for (const spec of commands) {
    for (const name of [spec.name, ...(spec.aliases ?? [])]) {
      const command = root.command(name, spec.summary);
      addOptions(command, [...(spec.options ?? []), ...globalOptions], offer);
      addArguments(command, spec, offer);
    }
  }
  const lines: string[] = [];
  // In place of the library's own, which prints on the process's output whatever the command's is.
  Object.assign(root, { complete: (last: string) => lines.push(...linesOf(root.completions, last)) });
  // The library takes the word behind `--app=my-app` for the option's value.
  root.parse([...words.slice(0, -1).flatMap(splitAssigned), ...words.slice(-1)]);
  return lines;
}

function splitAssigned(word: string): string[] {
  const equals = word.indexOf("=");
  return word.startsWith("--") && equals !== -1 ? [word.slice(0, equals), word.slice(equals + 1)] : [word];
}

/** Those that begin as the last word does, each once; of an option with its value behind `=`, the value counts. */
function linesOf(completions: readonly Completion[], last: string): string[] {
  const begun = last.startsWith("-") && last.includes("=") ? last.slice(last.indexOf("=") + 1) : last;
  const found = new Map(
    completions
      .filter(({ value }) => value.startsWith(begun))
      .map(({ value, description = "" }) => [value, `${value}\t${description}`]),
  );
  return [...found.values(), `:${ShellCompDirective.ShellCompDirectiveNoFileComp}`];
}

/** What takes a value has a function to offer some, be it none: by that the library tells it from a flag. */
function addOptions(command: CompletedCommand, options: readonly CommandOption[], offer: Offer): void {
  for (const { flags, summary } of options) {
    const option = new Option(flags);
    const long = option.long?.replace(/^--/, "") ?? "";
    const short = option.short?.replace(/^-/, "");
    if (!option.required && !option.optional) command.option(long, summary, short ?? "");
    else command.option(long, summary, offer(KIND_BY_OPTION[`--${long}`]), short);
  }
}

function addArguments(command: CompletedCommand, spec: CommandSpec, offer: Offer): void {
  const kind = KIND_BY_COMMAND[spec.name];
  for (const { name } of spec.arguments ?? []) command.argument(name, offer(kind), name.includes("..."));
}

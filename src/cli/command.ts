import type { Clock } from "../core/clock.ts";
import type { PlatformClient } from "./client.ts";
import type { LoginFlags } from "./login.ts";
import type { Output } from "./output.ts";
import type { Prompt } from "./prompt.ts";
import type { Settings } from "./settings.ts";
import type { CommandLineStreams } from "./streams.ts";
import type { TimeZone } from "./time-zone.ts";
import type { Transport } from "./transport.ts";

export type CommandGroup = "Account" | "Apps" | "Databases" | "Backups" | "Platform";

/** An option of a command. */
export interface CommandOption {
  readonly flags: string;
  readonly summary: string;
  /** It may be given several times, one value each; `call.options()` has all. */
  readonly isRepeatable?: true;
}

/** One command: what its help says, and what it does. */
export interface CommandSpec {
  /** Words with a space between, such as `owner reset-password`. */
  readonly name: string;
  readonly aliases?: readonly string[];
  readonly group: CommandGroup;
  /** One line, no full stop. */
  readonly summary: string;
  /** More about it, below the summary. */
  readonly details?: string;
  /** In order; `<name>` is required, `[name]` not. */
  readonly arguments?: readonly { readonly name: string; readonly summary: string }[];
  readonly options?: readonly CommandOption[];
  /** Command lines without the program's name. */
  readonly examples: readonly string[];
  /** It is stopped by signals in its own way: Ctrl+C is left to it. */
  readonly handlesSignals?: true;
  /**
   * Does it. A failure is thrown; the program prints it and ends with the exit code that its code has in the table of errors.
   * Ends with the reason of `call.signal` soon after that aborts.
   */
  run(call: CommandCall): Promise<void>;
}

/** What a rebuilt index knows. */
export interface IndexRebuild {
  readonly databases: number;
  /** Resource ids of those that the index didn't know before. */
  readonly recovered: readonly string[];
  readonly logicalBackups: number;
  readonly baseBackups: number;
  /** What could not be read, and why. */
  readonly unreadable: readonly string[];
}

/** What the platform's own process offers to the commands that run on its machine. */
export interface LocalCommands {
  /** Runs the platform until it is stopped; its exit code. `roles` as typed, undefined for all. */
  serve(options: { roles: string | undefined }): Promise<number>;
  /** Gives the platform's owner a new password and tells it. */
  resetOwnerPassword(): Promise<{ username: string; password: string }>;
  /** Makes the platform's index of backups from its repository. */
  rebuildIndex(options: { signal: AbortSignal }): Promise<IndexRebuild>;
}

/** One invocation of a command. */
export interface CommandCall {
  /** A required argument. */
  argument(index: number): string;
  optionalArgument(index: number): string | undefined;
  /** What an argument whose name ends in `...` gathered; at least one where it is required. */
  argumentList(index: number): readonly string[];
  /** Value of an option, by its long name without hyphens before (`output`); undefined when not given. */
  option(name: string): string | undefined;
  /** Values of an option that can be given several times; empty when it wasn't. */
  options(name: string): readonly string[];
  flag(name: string): boolean;
  readonly json: boolean;
  readonly output: Output;
  readonly prompt: Prompt;
  readonly streams: CommandLineStreams;
  readonly settings: Settings;
  readonly loginFlags: LoginFlags;
  readonly clock: Clock;
  readonly hostName: string;
  /** Of this process. */
  readonly processId: number;
  /** Aborts on Ctrl+C (with the error `interrupted`) and when standard output was closed. */
  readonly signal: AbortSignal;
  readonly local: LocalCommands;
  /** All commands, this one included. */
  readonly program: { readonly commands: readonly CommandSpec[]; readonly globalOptions: readonly CommandOption[] };
  /** The name or id of `--app`; `usage` when none was given. */
  app(): string;
  /** What `--addon` says, unresolved; `usage` when none was given. */
  addon(): string;
  timeZone(): Promise<TimeZone>;
  /** The platform as the logged-in user. */
  connect(): Promise<PlatformClient>;
  /** The platform at this address, without a login. */
  transport(url: string): Transport;
  /** Another way to speak, for a command whose standard output carries a file. */
  quieterOutput(change: { peopleOnStderr: boolean; silent: boolean }): Output;
  /** Ends the program with this code although nothing failed: for `serve`, which has codes of its own. */
  endWith(exitCode: number): void;
}

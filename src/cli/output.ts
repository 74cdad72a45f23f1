import { stripVTControlCharacters, styleText } from "node:util";
import type { TidemarkError } from "../core/errors.ts";
import { errorLines } from "./error-lines.ts";
import type { CommandLineStreams, OutputStream } from "./streams.ts";

export type Colour = "green" | "yellow" | "red" | "gray" | "bold";

/** How a command speaks. Lines for people disappear under `--json`, where standard output holds one JSON value. */
export interface Output {
  /** `-----> text`: something has happened. */
  status(text: string): void;
  /** `       text`: more about it. */
  info(text: string): void;
  /** `  /!\  text` */
  warning(text: string): void;
  /** The result itself, as it is: a table, a variable's value, a file's name. */
  result(text: string): void;
  /** A grey line on standard error: about the result, and no part of it. */
  note(text: string): void;
  /** What `--json` prints. */
  json(body: unknown): void;
  /** ` !     text` on standard error, and the hint on a line of its own. */
  error(error: TidemarkError): void;
  /** Colours a text for standard output when that is a terminal that wants colours. */
  colour(text: string, colour: Colour): string;
  /** A line on standard error that the next one replaces; on a terminal only. "" clears it. */
  transient(text: string): void;
}

export interface OutputOptions {
  readonly streams: CommandLineStreams;
  readonly json: boolean;
  readonly coloursWanted: boolean;
  /** Lines for people go to standard error, because standard output carries a file. */
  readonly peopleOnStderr?: boolean;
  /** Nothing but errors. */
  readonly silent?: boolean;
}

/** Standard width where the terminal doesn't say its own. */
const COLUMNS_FALLBACK = 80;

export function createOutput(options: OutputOptions): Output {
  const { streams, json } = options;
  const people = options.peopleOnStderr === true ? streams.stderr : streams.stdout;
  const silent = options.silent === true;
  const terminal = streams.stderr.isTTY === true && !silent && !json;
  const sayLine = (text: string): void => {
    if (!json && !silent) people.write(`${text}\n`);
  };
  const paint = (stream: OutputStream, text: string, colour: Colour): string =>
    options.coloursWanted && stream.isTTY === true ? styleText(colour, text, { validateStream: false }) : text;
  return {
    status: (text) => sayLine(`-----> ${paint(people, printable(text), "green")}`),
    info: (text) => sayLine(`       ${printable(text)}`),
    warning: (text) => sayLine(`${paint(people, "  /!\\  ", "yellow")}${printable(text)}`),
    result: (text) => sayLine(text),
    note: (text) => {
      if (!json && !silent) streams.stderr.write(`${paint(streams.stderr, printable(text), "gray")}\n`);
    },
    json: (body) => {
      if (json && !silent && body !== undefined) streams.stdout.write(`${JSON.stringify(body, null, 2)}\n`);
    },
    error: (error) => {
      if (terminal) streams.stderr.write(clearLine());
      const { message, hint } = errorLines(error);
      for (const line of message) {
        streams.stderr.write(`${paint(streams.stderr, " !     ", "red")}${printable(line)}\n`);
      }
      for (const line of hint?.split("\n") ?? []) streams.stderr.write(`       ${printable(line)}\n`);
    },
    colour: (text, colour) => paint(streams.stdout, text, colour),
    transient: (text) => {
      if (terminal) streams.stderr.write(clearLine() + text.slice(0, columnsOf(streams.stderr) - 1));
    },
  };
}

export function columnsOf(stream: OutputStream): number {
  return stream.columns !== undefined && stream.columns > 0 ? stream.columns : COLUMNS_FALLBACK;
}

/**
 * Text from elsewhere without what would steer the terminal: escape sequences and control characters, tabs and line ends excepted.
 */
export function printable(text: string): string {
  // oxlint-disable-next-line no-control-regex -- control characters are what is removed
  return stripVTControlCharacters(text).replace(/[\u0000-\u0008\u000B-\u001F\u007F-\u009F]/g, "");
}

function clearLine(): string {
  return "\r\u001B[K";
}

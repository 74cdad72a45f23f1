/** What became of one entry of a dump. */
export interface RestoredObject {
  /** As pg_restore lists it, without its owner: `TABLE public orders`. */
  readonly object: string;
  /** `kept`: it was there already, and was left as it is. `unknown`: pg_restore ended before its end. */
  readonly outcome: "restored" | "failed" | "kept" | "unknown";
  /** Why, unless restored. */
  readonly reason: string | null;
}

/** One entry of a dump's table of contents. */
export interface DumpEntry {
  readonly id: number;
  readonly object: string;
}

/** `215; 1259 16386 TABLE public orders my_app_4553`: the dump's own number, two of the catalogue's, kind, schema, name, owner. */
const ENTRY_LINE = /^(\d+); \d+ \d+ (.*) \S*$/;
const FAILED_ENTRY_LINE = /^pg_restore: from TOC entry (\d+);/;
const ERROR_LINE = /^pg_restore: error: (.*)$/;
const COMMAND_LINE = /^(?:pg_restore: detail: )?Command was: /;
const PROGRAM_LINE = /^pg_restore: /;
const END_LINE = /^pg_restore: warning: errors ignored on restore: \d+$/;
/** A reason is a few lines; a server can quote a row of a gigabyte. */
const REASON_CHARS_MAX = 1000;
const EXTENSION = "EXTENSION - ";
const TABLE = "TABLE ";
const TABLE_DATA = "TABLE DATA ";

/** The entries in the output of `pg_restore --list`. Pure. */
export function parseDumpList(lines: readonly string[]): readonly DumpEntry[] {
  return lines.flatMap((line) => {
    const [, id, object] = ENTRY_LINE.exec(line) ?? [];
    return id === undefined || object === undefined ? [] : [{ id: Number(id), object }];
  });
}

/** Name of the extension that an entry makes; undefined for any other entry. */
export function extensionOf({ object }: DumpEntry): string | undefined {
  return object.startsWith(EXTENSION) ? object.slice(EXTENSION.length).trim() : undefined;
}

/**
 * Reads what `pg_restore --verbose` says, which in the locale C is its only account of single entries: the entry that it worked on, the error, the command.
 * Takes lines in order, keeps the reasons alone.
 */
export class RestoreLog {
  readonly #reasons = new Map<number, string>();
  #entry: number | undefined;
  #isReason = false;
  #hasEnded = false;
  #lastError = "";

  push(line: string): void {
    const entry = FAILED_ENTRY_LINE.exec(line)?.[1];
    const error = ERROR_LINE.exec(line)?.[1];
    if (entry !== undefined) this.#entry = Number(entry);
    if (END_LINE.test(line)) this.#hasEnded = true;
    if (error !== undefined) {
      this.#isReason = true;
      this.#lastError = error;
      this.#add(error);
    } else if (COMMAND_LINE.test(line) || PROGRAM_LINE.test(line)) this.#isReason = false;
    else if (this.#isReason) this.#add(line);
  }

  /** Whether it says that it came to its end in spite of errors. */
  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** Its last error, for a run that ended early. */
  get lastError(): string {
    return this.#lastError;
  }

  /**
   * The account of every entry.
   *
   * @param entries those that were to be restored
   * @param kept those that were left out because they are there
   * @param isWhole whether pg_restore came to its end
   */
  report(entries: readonly DumpEntry[], kept: readonly DumpEntry[], isWhole: boolean): readonly RestoredObject[] {
    const failedTables = new Set(
      entries.flatMap(({ id, object }) =>
        object.startsWith(TABLE) && !object.startsWith(TABLE_DATA) && this.#reasons.has(id)
          ? [object.slice(TABLE.length)]
          : [],
      ),
    );
    const judge = ({ id, object }: DumpEntry): RestoredObject => {
      const reason = this.#reasons.get(id);
      if (reason !== undefined) return { object, outcome: "failed", reason };
      // pg_restore passes over the rows of a table that it couldn't make: they would be added to those that are there.
      if (object.startsWith(TABLE_DATA) && failedTables.has(object.slice(TABLE_DATA.length)))
        return { object, outcome: "failed", reason: "Its table could not be made anew" };
      return isWhole
        ? { object, outcome: "restored", reason: null }
        : { object, outcome: "unknown", reason: "pg_restore ended before its end" };
    };
    const left = kept.map(({ object }): RestoredObject => {
      return { object, outcome: "kept", reason: "It is there already" };
    });
    return [...entries.map(judge), ...left];
  }

  #add(text: string): void {
    if (this.#entry === undefined || text.trim() === "") return;
    const before = this.#reasons.get(this.#entry);
    const reason = before === undefined ? text : `${before}\n${text}`;
    this.#reasons.set(this.#entry, reason.slice(0, REASON_CHARS_MAX));
  }
}

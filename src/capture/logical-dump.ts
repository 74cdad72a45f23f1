import type { Readable } from "node:stream";
import { libpqEnvironment, type Connection } from "../postgres/connection.ts";
import { programFailure, startProgram, type ProgramPlace, type RunningProgram } from "../postgres/running-program.ts";
import type { ByteStream } from "../stream/byte-stream.ts";

export interface DumpOptions extends ProgramPlace {
  readonly connection: Connection;
  /** Shown in pg_stat_activity, by which the dump's session is found; at most 63 bytes. */
  readonly applicationName: string;
  readonly lockWaitTimeoutMs: number;
}

export interface RunningDump {
  /** The dump in custom format, not compressed. Throws `dump_failed` at its end unless pg_dump ended with 0, `programs_missing` when there is none. */
  readonly bytes: ByteStream;
  close(): Promise<void>;
}

/** Starts pg_dump. The password is in its environment only, and nothing of ours is. The caller closes it, whatever happens. */
export function startDump(options: DumpOptions): RunningDump {
  const program = startProgram(options, "pg_dump", {
    args: [
      "--format=custom",
      "--compress=0",
      "--no-password",
      `--lock-wait-timeout=${Math.round(options.lockWaitTimeoutMs)}`,
    ],
    env: { ...libpqEnvironment(options.connection), PGAPPNAME: options.applicationName },
    takesInput: false,
  });
  return { bytes: dumpBytes(program, options), close: () => program.close() };
}

async function* dumpBytes(program: RunningProgram, place: ProgramPlace): AsyncGenerator<Uint8Array> {
  // A pipe was asked for, so it is there; of bytes, since no encoding is set.
  const output = program.child.stdout as Readable & AsyncIterable<Buffer>;
  let broken: unknown;
  try {
    yield* output;
  } catch (error) {
    broken = error;
  }
  const end = await program.ended;
  if (end.exitCode === 0 && broken === undefined) return;
  throw programFailure("dump_failed", { name: "pg_dump", place, program, end, broken });
}

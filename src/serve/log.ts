import { rename, stat } from "node:fs/promises";
import { join } from "node:path";
import { destination, multistream, pino } from "pino";
import { z } from "zod";
import { systemErrorCode } from "../core/errors.ts";
import type { Logger } from "../core/logger.ts";

/** At each start a log larger than this becomes `.1`, and the `.1` before it goes. */
const LOG_BYTES_MAX = 64 * 1024 ** 2;

export interface PlatformLog {
  readonly logger: Logger;
  close(): void;
}

/** JSON lines in `folder/<name>.log`, readable by the platform's user only; warnings and errors also on standard error. */
export async function openLog(folder: string, { name, level }: { name: string; level: string }): Promise<PlatformLog> {
  const path = join(folder, `${name}.log`);
  await rotate(path);
  const file = destination({ dest: path, mode: 0o600, sync: true, append: true });
  const logger = pino(
    {
      level,
      base: { process: name },
      timestamp: pino.stdTimeFunctions.isoTime,
      // A second line of defence: nothing logs these on purpose.
      redact: { paths: ["password", "token", "secret", "*.password", "*.token", "*.secret"], censor: "[secret]" },
    },
    multistream([
      { stream: file, level: "debug" },
      { stream: plainLines(destination({ dest: 2, sync: true })), level: "warn" },
    ]),
  );
  return {
    logger,
    close() {
      file.flushSync();
      file.end();
    },
  };
}

const line = z.object({
  level: z.number(),
  msg: z.string(),
  error: z.string().optional(),
  reason: z.string().optional(),
});
const ERROR_LEVEL = 50;

/** What the file has as JSON, for a person at a terminal; the rest of the fields is in the file. */
function plainLines(output: { write(text: string): unknown }): { write(json: string): void } {
  return {
    write(json) {
      const { level, msg, error, reason } = line.parse(JSON.parse(json));
      const cause = error ?? reason;
      const mark = level >= ERROR_LEVEL ? " !     " : "  /!\\  ";
      output.write(`${mark}${msg}${cause === undefined ? "" : `: ${cause}`}\n`);
    },
  };
}

async function rotate(path: string): Promise<void> {
  try {
    const { size } = await stat(path);
    if (size > LOG_BYTES_MAX) await rename(path, `${path}.1`);
  } catch (error) {
    if (systemErrorCode(error) !== "ENOENT") throw error;
  }
}

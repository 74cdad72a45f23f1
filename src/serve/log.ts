import { rename, stat } from "node:fs/promises";
import { join } from "node:path";
import { destination, multistream, pino } from "pino";
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
      { stream: destination({ dest: 2, sync: true }), level: "warn" },
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

async function rotate(path: string): Promise<void> {
  try {
    const { size } = await stat(path);
    if (size > LOG_BYTES_MAX) await rename(path, `${path}.1`);
  } catch (error) {
    if (systemErrorCode(error) !== "ENOENT") throw error;
  }
}

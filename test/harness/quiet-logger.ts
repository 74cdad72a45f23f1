import type { Logger } from "../../src/core/logger.ts";

/** For tests that look at results, not at the log. */
export const quietLogger: Logger = {
  debug() {},
  info() {},
  warn() {},
  error() {},
  child: () => quietLogger,
};

/** A program of the command line alone, for tests that need a process with real streams and signals. Its platform's part does nothing. */
import { systemClock } from "../../src/core/clock.ts";
import { runCommandLine } from "../../src/cli/program.ts";

process.exitCode = await runCommandLine({
  argv: process.argv.slice(2),
  environment: process.env,
  streams: process,
  clock: systemClock,
  version: "0.1.0",
  userHome: "/nonexistent",
  defaultHome: "/nonexistent",
  hostName: "test-machine",
  processId: process.pid,
  onInterrupt: (listener) => {
    process.on("SIGINT", listener);
    return () => process.off("SIGINT", listener);
  },
  local: {
    serve: () => Promise.resolve(0),
    resetOwnerPassword: () => Promise.resolve({ username: "owner", password: "generated" }),
    rebuildIndex: () =>
      Promise.resolve({ databases: 1, recovered: [], logicalBackups: 2, baseBackups: 1, unreadable: [] }),
  },
});

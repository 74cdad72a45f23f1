import { TidemarkError } from "../../core/errors.ts";
import type { CommandCall, CommandSpec } from "../command.ts";
import { startOneOff } from "../one-off-client.ts";
import { ONE_OFF_OPTIONS, readEnvironment, runAttached } from "../one-off-run.ts";

export const run: CommandSpec = {
  name: "run",
  group: "Apps",
  summary: "Run a command in a one-off container, beside the app's databases",
  details:
    "The container has the app's variables, PostgreSQL's client programs, a folder of its own, and a way to the app's databases and to the platform; " +
    "it is gone when the command ends. Words are joined by spaces and read by a shell. Options of the command itself go behind `--`. " +
    "Ends with the command's own exit code.",
  arguments: [{ name: "<command...>", summary: "The command and its arguments" }],
  options: [
    ...ONE_OFF_OPTIONS,
    {
      flags: "-f, --file <path>",
      summary: "Send a file to /tmp/uploads first; may be given again",
      isRepeatable: true,
    },
    { flags: "-d, --detached", summary: "Let it run by itself, without a terminal" },
    { flags: "--silent", summary: "Print nothing but what the command prints" },
  ],
  examples: [
    "--app my-app run bash",
    "--app my-app run -- psql --command 'SELECT now()'",
    "--app my-app run --file dump.pgsql 'pg_restore --list /tmp/uploads/dump.pgsql'",
  ],
  async run(call) {
    const command = call.argumentList(0).join(" ");
    const files = call.options("file");
    if (!call.flag("detached")) {
      await runAttached(call, { command, files, silent: call.flag("silent") });
      return;
    }
    if (files.length > 0) {
      throw new TidemarkError("usage", "Files can be sent to a container that you attach to, not to a detached one");
    }
    await runDetached(call, command);
  },
};

async function runDetached(call: CommandCall, command: string): Promise<void> {
  const app = call.app();
  const client = await call.connect();
  const environment = readEnvironment(call.options("env"));
  const started = await startOneOff(client, { app, command, detached: true, size: call.option("size"), environment });
  call.output.status(`Starting one-off '${command}' for app '${app}', as ${started.label}.`);
  call.output.info(`See it with: tidemark --app ${app} ps`);
  call.output.json(started.body);
}

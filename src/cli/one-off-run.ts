import { TidemarkError } from "../core/errors.ts";
import type { CommandCall, CommandOption } from "./command.ts";
import { openAttached, startOneOff, untilReady } from "./one-off-client.ts";
import type { Output } from "./output.ts";
import { holdTerminal, terminalSize } from "./terminal-session.ts";

/** What `run`, `bash` and `pgsql-console` have in common. */
export const ONE_OFF_OPTIONS: readonly CommandOption[] = [
  { flags: "-s, --size <size>", summary: "S, M, L, XL or 2XL: its memory, and the room for its files (M)" },
  {
    flags: "-e, --env <NAME=VALUE>",
    summary: "A variable on top of the app's; may be given again",
    isRepeatable: true,
  },
];

/** As the original's client ends when nothing was typed or printed for too long. */
const EXIT_INACTIVE = 129;

/** Runs a command in a one-off container, with this terminal as its own, and ends as it ends. `shown` stands for it where it is secret. */
export async function runAttached(
  call: CommandCall,
  {
    command,
    shown = command,
    files = [],
    silent = false,
  }: { command: string; shown?: string; files?: readonly string[]; silent?: boolean },
): Promise<void> {
  // Standard output is the command's own.
  const output = call.quieterOutput({ peopleOnStderr: true, silent });
  const app = call.app();
  const client = await call.connect();
  const environment = { ...terminalEnvironment(call), ...readEnvironment(call.options("env")) };
  const started = await startOneOff(client, { app, command, detached: false, size: call.option("size"), environment });
  output.transient(`-----> Starting container ${started.label}`);
  const ready = await untilReady(call, client, { app, ...started });
  output.transient("");
  output.status(`Starting container ${ready.label}  Done in ${(ready.startupMs / 1000).toFixed(3)} seconds`);
  const attached = openAttached(call, ready.attachUrl, await client.bearer());
  for (const file of files) await upload(output, { file, send: () => attached.upload(file) });
  if (call.streams.stdout.isTTY === true) await attached.resize(terminalSize(call.streams.stdout));
  output.status(`Connecting to container [${ready.label}]...`);
  const socket = await attached.connect();
  output.status(`Process '${shown}' is starting...`);
  await holdTerminal(socket, { attached, streams: call.streams, signal: call.signal });
  const end = await attached.end();
  if (!end.wasInactive) {
    call.endWith(end.exitCode);
    return;
  }
  output.warning("Nothing was typed or printed for an hour: the container has been ended");
  output.info("For work that is silent for longer, use: tidemark run --detached");
  call.endWith(EXIT_INACTIVE);
}

/** `NAME=VALUE` as typed. `usage` for anything else. */
export function readEnvironment(words: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    words.map((word) => {
      const at = word.indexOf("=");
      if (at > 0) return [word.slice(0, at), word.slice(at + 1)];
      throw new TidemarkError("usage", `"${word}" is not NAME=VALUE`);
    }),
  );
}

/** What programs ask about the terminal that they write to. */
function terminalEnvironment({ streams, settings }: CommandCall): Record<string, string> {
  const type = streams.stdout.isTTY === true ? settings.terminalType : undefined;
  return type === undefined ? {} : { TERM: type };
}

async function upload(output: Output, { file, send }: { file: string; send: () => Promise<void> }): Promise<void> {
  output.status(`Upload '${file}' to container.`);
  await send();
}

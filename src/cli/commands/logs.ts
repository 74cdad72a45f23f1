import { TidemarkError } from "../../core/errors.ts";
import type { CommandCall, CommandSpec } from "../command.ts";
import { openDatabaseTarget } from "../database-target.ts";
import { logLinkReply } from "../database-replies.ts";
import { dumpLog, followLog } from "../log-download.ts";
import { printable } from "../output.ts";
import { route } from "../transport.ts";

const LINES_DEFAULT = "20";

export const logs: CommandSpec = {
  name: "logs",
  group: "Databases",
  summary: "Show what a database's server logs",
  options: [
    { flags: "-n, --lines <number>", summary: "How many lines, 10000 at most; default 20" },
    { flags: "-f, --follow", summary: "Go on with what is written from now on, until Ctrl+C" },
  ],
  examples: ["--app my-app --addon postgresql logs -n 100", "--app my-app --addon postgresql logs --follow"],
  async run(call) {
    const lines = call.option("lines") ?? LINES_DEFAULT;
    if (!/^[1-9]\d{0,4}$/.test(lines)) {
      throw new TidemarkError("usage", `--lines is "${lines}", expected a number from 1 to 10000`);
    }
    const { api, addonId } = await openDatabaseTarget(call);
    const { value, body } = await api.get(route`/api/databases/${addonId}/logs`, logLinkReply);
    if (call.json) return call.output.json(body);
    const text = await dumpLog(value.url, { lines: Number(lines), signal: call.signal });
    if (text === "" && !call.flag("follow")) call.output.note("There is no log for this database");
    write(call, text);
    if (!call.flag("follow")) return;
    for await (const line of followLog(value.url, call.signal)) write(call, line);
  },
};

function write(call: CommandCall, text: string): void {
  if (text !== "") call.output.result(printable(text.replace(/\n$/, "")));
}

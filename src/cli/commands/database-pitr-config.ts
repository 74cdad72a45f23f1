import { TidemarkError } from "../../core/errors.ts";
import type { CommandSpec } from "../command.ts";
import { openDatabaseTarget } from "../database-target.ts";
import { recoveryWindowReply } from "../replies.ts";
import { route } from "../transport.ts";

const CONSEQUENCES = {
  database:
    "the database is protected: when continuous backups stall for long, log may be lost, and a new base backup closes the hole",
  chain: "the chain is protected: when continuous backups stall for long, the disk may fill and the database stop",
} as const;

export const databasePitrConfig: CommandSpec = {
  name: "database-pitr-config",
  group: "Backups",
  summary: "Choose what is kept safe when continuous backups stall for long",
  options: [{ flags: "--protect <what>", summary: "database (the default of a new one) or chain" }],
  examples: ["--app my-app --addon postgresql database-pitr-config --protect chain"],
  async run(call) {
    const protects = readProtection(call.option("protect"));
    const { addonId, api } = await openDatabaseTarget(call);
    const path = route`/api/databases/${addonId}/pitr`;
    const { body } = await api.patch(path, { pitr: { protects } }, recoveryWindowReply);
    call.output.status(`From now on ${CONSEQUENCES[protects]}`);
    call.output.json(body);
  },
};

function readProtection(text: string | undefined): keyof typeof CONSEQUENCES {
  if (text === "database" || text === "chain") return text;
  const given = text === undefined ? "--protect is missing" : `--protect is "${text}"`;
  throw new TidemarkError("usage", given, { hint: "Give --protect database or --protect chain." });
}

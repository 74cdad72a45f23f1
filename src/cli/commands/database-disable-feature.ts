import type { CommandSpec } from "../command.ts";
import { openDatabaseTarget } from "../database-target.ts";
import { featureReply } from "../database-replies.ts";
import { route } from "../transport.ts";

export const databaseDisableFeature: CommandSpec = {
  name: "database-disable-feature",
  group: "Databases",
  summary: "Switch a feature of a database off",
  arguments: [{ name: "<feature>", summary: "force-ssl or publicly-available" }],
  examples: ["--app my-app --addon postgresql database-disable-feature force-ssl"],
  async run(call) {
    const name = call.argument(0);
    const { api, addonId } = await openDatabaseTarget(call);
    const query = `?${new URLSearchParams({ feature: name }).toString()}`;
    const { body } = await api.delete(route`/api/databases/${addonId}/features` + query, featureReply);
    call.output.status(`Feature ${name} has been disabled.`);
    call.output.json(body);
  },
};

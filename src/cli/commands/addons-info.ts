import type { CommandSpec } from "../command.ts";
import { openDatabaseTarget } from "../database-target.ts";
import { isJsonObject } from "../decode.ts";
import { formatMaintenanceWindow } from "../maintenance-text.ts";
import { addonReply, databaseReply } from "../replies.ts";
import type { Database } from "../replies.ts";
import { formatSizeSi } from "../size-text.ts";
import { renderFacts } from "../table.ts";
import { route } from "../transport.ts";

export const addonsInfo: CommandSpec = {
  name: "addons-info",
  group: "Databases",
  summary: "Show a database",
  arguments: [{ name: "[addon]", summary: "postgresql, resource id or id; otherwise that of --addon" }],
  examples: ["--app my-app addons-info postgresql"],
  async run(call) {
    const zone = await call.timeZone();
    const { app, client, addonId, api } = await openDatabaseTarget(call, call.optionalArgument(0));
    const shown = await client.get(route`/v1/apps/${app}/addons/${addonId}`, addonReply);
    const asked = await api.get(route`/api/databases/${addonId}`, databaseReply);
    const { addon } = shown.value;
    const { database } = asked.value;
    const window = database.maintenance_window;
    call.output.result(
      renderFacts([
        ["Addon Provider", addon.addon_provider.name],
        ["ID", addon.id],
        ["Resource ID", addon.resource_id],
        ["Plan", addon.plan.name],
        ["Status", database.status],
        ["Database Type", database.type_name],
        ["Version", database.readable_version ?? "not known yet"],
        ["Size", database.size === null ? "not known yet" : formatSizeSi(database.size)],
        ["Force TLS", featureStatus(database, "force-ssl")],
        ["Internet Accessibility", featureStatus(database, "publicly-available")],
        [
          "Maintenance window",
          window === null ? "none" : formatMaintenanceWindow(window, { now: call.clock.now(), zone }),
        ],
      ]),
    );
    if (database.status_reason !== null) call.output.warning(`${addon.resource_id}: ${database.status_reason}`);
    if (isJsonObject(shown.body) && isJsonObject(asked.body)) call.output.json({ ...shown.body, ...asked.body });
  },
};

function featureStatus(database: Database, name: string): string {
  return database.features.find((feature) => feature.name === name)?.status.toLowerCase() ?? "disabled";
}

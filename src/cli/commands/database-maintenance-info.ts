import type { CommandSpec } from "../command.ts";
import { openDatabaseTarget } from "../database-target.ts";
import { formatMaintenanceTime, formatMaintenanceWindow } from "../maintenance-text.ts";
import { maintenanceReply } from "../database-replies.ts";
import { databaseReply } from "../replies.ts";
import { renderFacts } from "../table.ts";
import { route } from "../transport.ts";

export const databaseMaintenanceInfo: CommandSpec = {
  name: "database-maintenance-info",
  group: "Databases",
  summary: "Show one maintenance of a database",
  arguments: [{ name: "<id>", summary: "As `database-maintenance-list` shows it" }],
  examples: ["--app my-app --addon postgresql database-maintenance-info 6742d1f00000a1b2c3d4e5f6"],
  async run(call) {
    const zone = await call.timeZone();
    const { api, addonId } = await openDatabaseTarget(call);
    const shown = await api.get(route`/api/databases/${addonId}/maintenance/${call.argument(0)}`, maintenanceReply);
    const { value, body } = shown;
    const facts: [string, string][] = [
      ["ID", value.id],
      ["Type", value.type],
      ["Because", value.reason],
      ["Started At", value.started_at === null ? "Not started" : formatMaintenanceTime(value.started_at, zone)],
      ["Ended At", value.ended_at === null ? "" : formatMaintenanceTime(value.ended_at, zone)],
      ["Status", value.status],
    ];
    if (value.started_at === null) {
      const { database } = (await api.get(route`/api/databases/${addonId}`, databaseReply)).value;
      const window = database.maintenance_window;
      if (window !== null)
        facts.push(["Next Maintenance Window", formatMaintenanceWindow(window, { now: call.clock.now(), zone })]);
    }
    call.output.result(renderFacts(facts));
    call.output.json(body);
  },
};

import type { CommandSpec } from "../command.ts";
import { openDatabaseTarget } from "../database-target.ts";
import { formatMaintenanceTime } from "../maintenance-text.ts";
import { maintenancesReply } from "../database-replies.ts";
import { renderTable } from "../table.ts";
import { PAGE_OPTIONS, readPageQuery } from "../timeline.ts";
import { route } from "../transport.ts";

export const databaseMaintenanceList: CommandSpec = {
  name: "database-maintenance-list",
  group: "Databases",
  summary: "List what waits for the maintenance window, and what was done in it",
  options: PAGE_OPTIONS,
  examples: ["--app my-app --addon postgresql database-maintenance-list"],
  async run(call) {
    const zone = await call.timeZone();
    const query = readPageQuery(call);
    const { api, addonId } = await openDatabaseTarget(call);
    const { value, body } = await api.get(route`/api/databases/${addonId}/maintenance` + query, maintenancesReply);
    const rows = value.maintenance.map((each) => [
      each.id,
      each.type,
      each.started_at === null ? "Not started" : formatMaintenanceTime(each.started_at, zone),
      each.ended_at === null ? "" : formatMaintenanceTime(each.ended_at, zone),
      each.status,
      each.reason,
    ]);
    call.output.result(renderTable(["ID", "Type", "Started At", "Ended At", "Status", "Because"], rows));
    const { current_page: page, total_pages: pages } = value.meta.pagination;
    call.output.note(`Page: ${page}, Last Page: ${pages}`);
    call.output.json(body);
  },
};

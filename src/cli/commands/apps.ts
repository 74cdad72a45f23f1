import type { CommandSpec } from "../command.ts";
import { appsReply, userReply } from "../replies.ts";
import { renderTable } from "../table.ts";

export const apps: CommandSpec = {
  name: "apps",
  group: "Apps",
  summary: "List your apps",
  examples: ["apps", "apps --json"],
  async run(call) {
    const client = await call.connect();
    const { value, body } = await client.get("/v1/apps", appsReply);
    call.output.json(body);
    if (call.json) return;
    if (value.apps.length === 0) {
      call.output.status("You haven't created any app yet, create your first application using:");
      call.output.info("→ tidemark create <app_name>");
      return;
    }
    const { user } = (await client.get("/v1/users/self", userReply)).value;
    const rows = value.apps.map((app) => [
      app.name,
      app.owner.email === user.email ? "owner" : "collaborator",
      app.status,
      `${app.owner.username}/${app.project?.name ?? "default"}`,
    ]);
    call.output.result(renderTable(["Name", "Role", "Status", "Project"], rows));
  },
};

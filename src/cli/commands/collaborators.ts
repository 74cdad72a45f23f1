import type { CommandSpec } from "../command.ts";
import { printable } from "../output.ts";
import { appReply, collaboratorsReply } from "../replies.ts";
import { renderTable } from "../table.ts";
import { route } from "../transport.ts";

export const collaborators: CommandSpec = {
  name: "collaborators",
  group: "Apps",
  summary: "List who may use an app",
  examples: ["--app my-app collaborators"],
  async run(call) {
    const client = await call.connect();
    const { value, body } = await client.get(route`/v1/apps/${call.app()}/collaborators`, collaboratorsReply);
    call.output.json(body);
    if (call.json) return;
    const { owner } = (await client.get(route`/v1/apps/${call.app()}`, appReply)).value.app;
    const rows = value.collaborators.map(({ email, username, status, is_limited: limited }) => [
      printable(email),
      printable(username),
      status,
      limited === true ? "limited collaborator" : "collaborator",
    ]);
    const first = [printable(owner.email), printable(owner.username), "accepted", "owner"];
    call.output.result(renderTable(["Email", "Username", "Status", "Role"], [first, ...rows]));
  },
};

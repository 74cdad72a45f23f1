import type { CommandSpec } from "../command.ts";
import { appReply } from "../replies.ts";
import { route } from "../transport.ts";

export const collaboratorsAccept: CommandSpec = {
  name: "collaborators-accept",
  group: "Apps",
  summary: "Accept an invitation to an app",
  arguments: [{ name: "<invitation>", summary: "The link that you were sent, or its last part" }],
  examples: ["collaborators-accept https://backups.example.com/invitations/qV7mZ"],
  async run(call) {
    const client = await call.connect();
    const token = call.argument(0).split("/").at(-1) ?? "";
    const { value, body } = await client.get(
      route`/v1/apps/collaboration` + `?token=${encodeURIComponent(token)}`,
      appReply,
    );
    call.output.status(`You are now a collaborator of ${value.app.name}`);
    call.output.json(body);
  },
};

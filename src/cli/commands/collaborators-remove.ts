import type { CommandSpec } from "../command.ts";
import { findCollaborator } from "../collaborator-reference.ts";
import { anything } from "../decode.ts";
import { route } from "../transport.ts";

export const collaboratorsRemove: CommandSpec = {
  name: "collaborators-remove",
  group: "Apps",
  summary: "Take a collaborator off an app, or withdraw an invitation",
  arguments: [{ name: "<who>", summary: "E-mail address, user name or id, as `collaborators` lists them" }],
  examples: ["--app my-app collaborators-remove bob@example.com"],
  async run(call) {
    const client = await call.connect();
    const { id, email } = await findCollaborator(client, { app: call.app(), who: call.argument(0) });
    const { body } = await client.delete(route`/v1/apps/${call.app()}/collaborators/${id}`, anything);
    call.output.status(`${email} has been removed from the collaborators of ${call.app()}`);
    call.output.json(body);
  },
};

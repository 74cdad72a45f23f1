import { TidemarkError } from "../../core/errors.ts";
import type { CommandCall, CommandSpec } from "../command.ts";
import { findCollaborator } from "../collaborator-reference.ts";
import { anything } from "../decode.ts";
import { route } from "../transport.ts";

export const collaboratorsUpdate: CommandSpec = {
  name: "collaborators-update",
  group: "Apps",
  summary: "Change a collaborator's role",
  arguments: [{ name: "<who>", summary: "E-mail address, user name or id, as `collaborators` lists them" }],
  options: [{ flags: "--limited <true|false>", summary: "Whether they may look only (required)" }],
  examples: ["--app my-app collaborators-update bob@example.com --limited true"],
  async run(call) {
    const limited = readLimited(call);
    const client = await call.connect();
    const { id, email } = await findCollaborator(client, { app: call.app(), who: call.argument(0) });
    const path = route`/v1/apps/${call.app()}/collaborators/${id}`;
    const { body } = await client.patch(path, { collaborator: { is_limited: limited } }, anything);
    call.output.status(`${email} is now a ${limited ? "limited " : ""}collaborator of ${call.app()}`);
    call.output.json(body);
  },
};

function readLimited(call: CommandCall): boolean {
  const given = call.option("limited");
  if (given === "true" || given === "false") return given === "true";
  throw new TidemarkError("usage", "The role is needed: --limited true or --limited false");
}

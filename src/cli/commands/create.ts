import type { CommandSpec } from "../command.ts";
import { appReply } from "../replies.ts";

export const create: CommandSpec = {
  name: "create",
  group: "Apps",
  summary: "Create an app, the owner of databases",
  arguments: [{ name: "<name>", summary: "Small letters, digits and hyphens" }],
  examples: ["create my-app"],
  async run(call) {
    const client = await call.connect();
    const { value, body } = await client.post("/v1/apps", { app: { name: call.argument(0) } }, appReply);
    call.output.result(`App '${value.app.name}' has been created`);
    call.output.info(
      `Give it a database with: tidemark --app ${value.app.name} addons-add postgresql postgresql-starter-512`,
    );
    call.output.json(body);
  },
};

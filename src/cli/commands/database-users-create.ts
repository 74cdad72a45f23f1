import type { CommandSpec } from "../command.ts";
import { openDatabaseTarget } from "../database-target.ts";
import { databaseUserReply } from "../database-replies.ts";
import { route } from "../transport.ts";

export const databaseUsersCreate: CommandSpec = {
  name: "database-users-create",
  group: "Databases",
  summary: "Make a user of a database",
  details: "Without a password of yours the platform makes one, and tells it this once.",
  arguments: [{ name: "<username>", summary: "6 to 32 characters" }],
  options: [
    { flags: "--read-only", summary: "It reads all tables, those to come too, and changes nothing" },
    { flags: "--password-stdin", summary: "Read the password (24 to 64 characters) from standard input" },
  ],
  examples: ["--app my-app --addon postgresql database-users-create reporting --read-only"],
  async run(call) {
    const name = call.argument(0);
    const password = call.flag("password-stdin") ? await call.prompt.readSecretLine() : "";
    const { api, addonId } = await openDatabaseTarget(call);
    const made = await api.post(
      route`/api/databases/${addonId}/users`,
      {
        database_user: {
          database_id: addonId,
          name,
          read_only: call.flag("read-only"),
          password,
          password_confirmation: password,
        },
      },
      databaseUserReply,
    );
    const told = made.value.database_user.password;
    call.output.result(told === null ? `User "${name}" created.` : `User "${name}" created with password "${told}".`);
    call.output.json(made.body);
  },
};

import type { CommandSpec } from "../command.ts";
import { openDatabaseTarget } from "../database-target.ts";
import { databaseUserReply } from "../database-replies.ts";
import { route } from "../transport.ts";

export const databaseUsersUpdatePassword: CommandSpec = {
  name: "database-users-update-password",
  group: "Databases",
  summary: "Give a user of a database another password",
  details: "Without one of yours the platform makes one, and tells it this once. Sessions that are open go on.",
  arguments: [{ name: "<username>", summary: "As `database-users-list` shows it" }],
  options: [{ flags: "--password-stdin", summary: "Read the password (24 to 64 characters) from standard input" }],
  examples: ["--app my-app --addon postgresql database-users-update-password reporting"],
  async run(call) {
    const name = call.argument(0);
    const password = call.flag("password-stdin") ? await call.prompt.readSecretLine() : undefined;
    const { api, addonId } = await openDatabaseTarget(call);
    const path = route`/api/databases/${addonId}/users/${name}`;
    const changed =
      password === undefined
        ? await api.post(`${path}/reset_password`, {}, databaseUserReply)
        : await api.patch(
            path,
            { database_user: { database_id: addonId, password, password_confirmation: password } },
            databaseUserReply,
          );
    const told = changed.value.database_user.password;
    call.output.result(
      told === null ? `User "${name}" password updated.` : `User "${name}" updated with password "${told}".`,
    );
    call.output.json(changed.body);
  },
};

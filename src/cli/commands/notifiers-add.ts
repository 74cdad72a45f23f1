import { TidemarkError } from "../../core/errors.ts";
import type { CommandSpec } from "../command.ts";
import { NOTIFIER_OPTIONS, readNotifierOptions } from "../notifier-options.ts";
import { notifierReply, platformsReply } from "../notifier-replies.ts";
import { route } from "../transport.ts";

export const notifiersAdd: CommandSpec = {
  name: "notifiers-add",
  group: "Apps",
  summary: "Have somebody told what happens to an app",
  options: [
    { flags: "--platform <name>", summary: "email, webhook, slack or rocket_chat; see `notification-platforms`" },
    ...NOTIFIER_OPTIONS,
  ],
  examples: [
    "--app my-app notifiers-add --platform email --name team --email team@example.com --event database_backup_failed",
    "--app my-app notifiers-add --platform webhook --name hook --webhook-url https://example.com/hook --send-all-events",
  ],
  async run(call) {
    const wanted = call.option("platform");
    const name = call.option("name");
    if (wanted === undefined || name === undefined)
      throw new TidemarkError("usage", "A notifier needs a platform and a name", {
        hint: "Give --platform and --name; tidemark notification-platforms lists the platforms.",
      });
    const client = await call.connect();
    const path = `/v1/notification_platforms/search?name=${encodeURIComponent(wanted)}`;
    const [platform] = (await client.get(path, platformsReply)).value.notification_platforms;
    if (platform === undefined)
      throw new TidemarkError("usage", `There is no notification platform "${wanted}"`, {
        hint: "tidemark notification-platforms lists them.",
      });
    const options = await readNotifierOptions(call, client);
    const notifier = { ...options, name, platform_id: platform.id };
    const { value, body } = await client.post(route`/v1/apps/${call.app()}/notifiers`, { notifier }, notifierReply);
    call.output.status("Notifier has been created.");
    call.output.info(`ID: ${value.notifier.id}`);
    const secret = value.notifier.type_data.signing_secret;
    if (secret !== null) {
      call.output.info(`Signing secret: ${secret}`);
      call.output.warning("It is shown this once only: its receiver checks signatures with it");
    }
    call.output.json(body);
  },
};

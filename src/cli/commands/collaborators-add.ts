import type { CommandSpec } from "../command.ts";
import { addedCollaboratorReply } from "../replies.ts";
import { route } from "../transport.ts";

export const collaboratorsAdd: CommandSpec = {
  name: "collaborators-add",
  group: "Apps",
  summary: "Let somebody else use an app",
  details:
    "A user of the platform is added at once. Anybody else is invited by a link, which is printed: send it to that person, who logs in and opens it, " +
    "or passes it to `collaborators-accept`.",
  arguments: [{ name: "<who>", summary: "E-mail address or user name" }],
  options: [{ flags: "--limited", summary: "Let them look, and nothing else" }],
  examples: ["--app my-app collaborators-add bob@example.com", "--app my-app collaborators-add bob --limited"],
  async run(call) {
    const client = await call.connect();
    const collaborator = { email: call.argument(0), is_limited: call.flag("limited") };
    const path = route`/v1/apps/${call.app()}/collaborators`;
    const { value, body } = await client.post(path, { collaborator }, addedCollaboratorReply);
    const { email, invitation_link: link } = value.collaborator;
    if (link === null) call.output.status(`${email} is now a collaborator of ${call.app()}`);
    else {
      call.output.status(`${email} has been invited to collaborate on ${call.app()}`);
      call.output.info(`Invitation: ${link}`);
      call.output.warning("It is shown this once only, and is good for two weeks: send it to them");
    }
    call.output.json(body);
  },
};

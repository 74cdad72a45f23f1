import { TidemarkError } from "../core/errors.ts";
import type { ApiClient } from "./client.ts";
import { type Collaborator, collaboratorsReply } from "./replies.ts";
import { route } from "./transport.ts";

/** The collaborator of an app with this e-mail address, user name or id, in any case of letters; `not_found` when there is none. */
export async function findCollaborator(
  client: ApiClient,
  { app, who }: { app: string; who: string },
): Promise<Collaborator> {
  const { value } = await client.get(route`/v1/apps/${app}/collaborators`, collaboratorsReply);
  const wanted = who.toLowerCase();
  const found = value.collaborators.find(({ id, email, username }) =>
    [id, email.toLowerCase(), username.toLowerCase()].includes(wanted),
  );
  if (found !== undefined) return found;
  throw new TidemarkError("not_found", `"${who}" is no collaborator of ${app}`, {
    hint: `See who is: tidemark --app ${app} collaborators`,
  });
}

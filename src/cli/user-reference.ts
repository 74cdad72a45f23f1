import { TidemarkError } from "../core/errors.ts";
import type { ApiClient } from "./client.ts";
import { type ListedUser, usersReply } from "./replies.ts";

/** The user with this name, e-mail address or id, in any case of letters; `not_found` when there is none. For the platform's owner. */
export async function findUser(client: ApiClient, who: string): Promise<ListedUser> {
  const { value } = await client.get("/v1/users", usersReply);
  const wanted = who.toLowerCase();
  const found = value.users.find(({ id, username, email }) => [id, username, email.toLowerCase()].includes(wanted));
  if (found !== undefined) return found;
  throw new TidemarkError("not_found", `There is no user "${who}"`, { hint: "See who is: tidemark users" });
}

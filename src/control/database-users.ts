import { TidemarkError } from "../core/errors.ts";
import { randomText } from "../core/random.ts";
import {
  createServerUser,
  listServerUsers,
  removeServerUser,
  setServerUserPassword,
  type UsersPlace,
} from "../instances/database-users.ts";
import { superuserConnection } from "../instances/server-definition.ts";
import { type AddonFacts, findAddonOfCaller } from "./access.ts";
import type { ControlContext } from "./context.ts";
import type { DatabaseUser, DatabaseUserService } from "./database-services.ts";
import { recordDatabaseEvent } from "./events.ts";
import type { DatabaseCaller } from "./model.ts";
import { readDatabasePassword, readDatabaseUserName } from "./user-input.ts";

/** 380 random bits; as long as clients generate them. */
const GENERATED_CHARACTERS = 64;

type Place = UsersPlace & { readonly addon: AddonFacts };

/** @param socketFolder of the servers of this machine. */
export function createDatabaseUserService(
  context: ControlContext & { readonly socketFolder: string },
): DatabaseUserService {
  return {
    list: async (caller, word) => await listUsers(await openServer(context, caller, { word, right: "read" })),
    async create(caller, word, { name, isReadOnly, password }) {
      const place = await openServer(context, caller, { word, right: "manage" });
      const secret = password ?? randomText(GENERATED_CHARACTERS);
      const wish = { name: readDatabaseUserName(name), password: readDatabasePassword(secret), isReadOnly };
      if ((await listUsers(place)).some((user) => user.name === name)) throw taken(name);
      await createServerUser(place, wish);
      const user = await findUser(place, name);
      await noteChange(context, caller, { place, user, type: "database_user_created" });
      return { user, generatedPassword: password === null ? secret : null };
    },
    async setPassword(caller, word, { name, password }) {
      const place = await openServer(context, caller, { word, right: "manage" });
      const user = await findChangeable(place, name);
      const secret = password ?? randomText(GENERATED_CHARACTERS);
      await setServerUserPassword(place, { name, password: readDatabasePassword(secret) });
      await noteChange(context, caller, { place, user, type: "database_user_changed" });
      return { user: await findUser(place, name), generatedPassword: password === null ? secret : null };
    },
    async remove(caller, word, name) {
      const place = await openServer(context, caller, { word, right: "manage" });
      const user = await findChangeable(place, name);
      await removeServerUser(place, name);
      await noteChange(context, caller, { place, user, type: "database_user_deleted" });
    },
  };
}

async function openServer(
  context: ControlContext & { readonly socketFolder: string },
  caller: DatabaseCaller,
  { word, right }: { word: string; right: "read" | "manage" },
): Promise<Place> {
  const addon = await findAddonOfCaller(context.database.db, caller, word, right);
  const { port, resource_id: name } = addon;
  const refuse = (why: string) =>
    new TidemarkError("conflict", `The users of ${name} can't be reached now: ${why}`, {
      hint: "tidemark status shows when it runs.",
    });
  if (addon.host_id !== context.hostId) throw refuse("its server is on another machine than this API");
  if (addon.state === "provisioning") throw refuse("it is being made");
  if (addon.status !== "running" || port === null) throw refuse(addon.status_reason ?? "its server is stopped");
  const superuser = superuserConnection({ socketFolder: context.socketFolder, port }, name);
  return { addon, superuser, owner: name };
}

async function listUsers(place: Place): Promise<DatabaseUser[]> {
  const users = await listServerUsers(place);
  return users.map(({ name, isReadOnly, hasPassword }) => ({
    name,
    isReadOnly,
    isProtected: name === place.owner,
    passwordEncryption: hasPassword ? "SCRAM-SHA-256" : null,
  }));
}

async function findUser(place: Place, name: string): Promise<DatabaseUser> {
  const user = (await listUsers(place)).find((each) => each.name === name);
  if (user !== undefined) return user;
  throw new TidemarkError("not_found", `The database ${place.owner} has no user "${name}"`, {
    hint: "tidemark database-users-list shows them.",
  });
}

async function findChangeable(place: Place, name: string): Promise<DatabaseUser> {
  const user = await findUser(place, name);
  if (!user.isProtected) return user;
  throw new TidemarkError("forbidden", `The user "${name}" is managed by the platform`, {
    hint: "It is the database's owner, whose password the app's variables hold.",
  });
}

/** The server has taken the change by then: it is the truth about its users, and an event that can't be stored undoes nothing. */
async function noteChange(
  { database, clock }: ControlContext,
  caller: DatabaseCaller,
  input: {
    place: Place;
    user: DatabaseUser;
    type: "database_user_created" | "database_user_changed" | "database_user_deleted";
  },
): Promise<void> {
  const { addon } = input.place;
  await recordDatabaseEvent(database.db, addon, {
    type: input.type,
    data: { user_name: input.user.name, read_only: input.user.isReadOnly },
    actor: caller.principal,
    at: clock.now(),
  });
}

function taken(name: string): TidemarkError {
  return new TidemarkError("invalid_fields", `There is a user "${name}" already`, {
    fields: { name: ["is taken"] },
  });
}

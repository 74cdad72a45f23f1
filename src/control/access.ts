import { type Kysely, type Selectable, sql } from "kysely";
import { TidemarkError } from "../core/errors.ts";
import type { AppRole, Principal } from "./model.ts";
import type { AddonTable, AppTable, ControlSchema, DatabaseTable } from "./schema.ts";
import type { DatabaseCaller } from "./services.ts";

type Db = Kysely<ControlSchema>;

/**
 * What a call needs of an app. `read`: look at it and its databases' state. `operate`: take and fetch backups, restore, connect, run commands.
 * `manage`: settings, variables, adding and removing databases. `own`: give it away, remove it, say who collaborates.
 */
export type Right = "read" | "operate" | "manage" | "own";

const RIGHTS: Readonly<Record<AppRole, readonly Right[]>> = {
  owner: ["read", "operate", "manage", "own"],
  collaborator: ["read", "operate", "manage"],
  // Backups and variables hold the data and the passwords to it: who may only look gets neither.
  limited: ["read"],
};

/** An app as somebody who may see it sees it. */
export type AppRow = Selectable<AppTable> & {
  readonly owner_username: string;
  readonly owner_email: string;
  /** The caller's own. */
  readonly role: AppRole;
};
export type AddonRow = Selectable<AddonTable>;
/** An addon with its app and its server's state: what most answers are made of. */
export type AddonFacts = AddonRow & {
  readonly app_name: string;
  readonly owner_id: AppTable["owner_id"];
} & Pick<
    Selectable<DatabaseTable>,
    | "host_id"
    | "major"
    | "port"
    | "version"
    | "status"
    | "status_reason"
    | "periodic_backups_enabled"
    | "periodic_hour_utc"
  >;

/** States in which an addon is there for its user. */
export const LIVE_STATES = ["provisioning", "running"] as const;

/** Every app that the user owns or collaborates on, by name. */
export async function listApps(db: Db, principal: Pick<Principal, "userId">): Promise<AppRow[]> {
  return await appsOf(db, principal).orderBy("apps.name").execute();
}

/**
 * The app of this name or id, if the caller has this right to it. `forbidden` when the caller may see it but has a lesser role; another user's is
 * `not_found`, as is one that never was.
 */
export async function findApp(db: Db, principal: Principal, app: string, right: Right): Promise<AppRow> {
  const row = await appsOf(db, principal)
    .where((match) => match.or([match("apps.name", "=", app), match(sql`apps.id`, "=", app)]))
    .executeTakeFirst();
  if (row === undefined) {
    throw new TidemarkError("not_found", "The application was not found", { hint: "tidemark apps lists yours." });
  }
  requireRight({ app: row.name, role: row.role, right });
  return row;
}

/** The app's live addons in order of creation. Who may see them was asked when the app was found. */
export async function listAddons(db: Db, app: Pick<AppRow, "id">): Promise<AddonFacts[]> {
  return await addonFacts(db)
    .where("apps.id", "=", app.id)
    .where("addons.state", "in", LIVE_STATES)
    .orderBy("addons.created_at")
    .execute();
}

/** One of the app's addons, by id, resource id, name or `postgresql` (the first). */
export async function findAddon(db: Db, app: Pick<AppRow, "id">, word: string): Promise<AddonFacts> {
  const addons = await listAddons(db, app);
  const found =
    addons.find((addon) => addon.id === word || addon.resource_id === word || addon.name === word) ??
    (word === "postgresql" ? addons[0] : undefined);
  if (found === undefined) throw addonNotFound(word);
  return found;
}

/**
 * The addon that the path of the database API names, by id or resource id, if the caller's token opens it and the caller has this right to its app.
 * `not_found` and `forbidden` as for `findApp`.
 */
export async function findAddonOfCaller(
  db: Db,
  caller: DatabaseCaller,
  word: string,
  right: Right,
): Promise<AddonFacts> {
  const addon = await findAddonWithBackups(db, caller, word, right);
  if (!LIVE_STATES.some((state) => state === addon.state)) throw addonNotFound(word);
  return addon;
}

/** As `findAddonOfCaller`, for what outlives a database: finds one that was removed as well. */
export async function findAddonWithBackups(
  db: Db,
  { principal, addonId }: DatabaseCaller,
  word: string,
  right: Right,
): Promise<AddonFacts> {
  const row = await addonsOf(db, principal)
    .where((match) => match.or([match(sql`addons.id`, "=", word), match("addons.resource_id", "=", word)]))
    .executeTakeFirst();
  if (row === undefined || (addonId !== null && row.id !== addonId)) throw addonNotFound(word);
  requireRight({ app: row.app_name, role: row.role, right });
  return row;
}

/** Every live addon of the apps to which the user has this right: by app, then in order of creation. */
export async function listAddonsOfUser(
  db: Db,
  principal: Pick<Principal, "userId">,
  right: Right,
): Promise<AddonFacts[]> {
  const rows = await addonsOf(db, principal)
    .where("addons.state", "in", LIVE_STATES)
    .orderBy("apps.name")
    .orderBy("addons.created_at")
    .execute();
  return rows.filter(({ role }) => hasRight(role, right));
}

/**
 * Of these apps, by id, those of whose changes the user is told, each with its name: the ones that the user may see, removed ones too, since their removal is a
 * change; and all of them for the owner of the platform, whose pages show every database's state.
 */
export async function appsThatChangesAreToldOf(
  db: Db,
  { userId, isPlatformOwner }: Principal,
  appIds: readonly string[],
): Promise<ReadonlyMap<string, string>> {
  const rows = await db
    .selectFrom("apps")
    .select(["id", "name"])
    .where(sql<boolean>`apps.id = any (${[...appIds]}::text[])`)
    .where((match) =>
      match.or([
        match.lit(isPlatformOwner),
        match("owner_id", "=", userId),
        match.exists(
          match
            .selectFrom("collaborators")
            .select("collaborators.id")
            .whereRef("collaborators.app_id", "=", "apps.id")
            .where("collaborators.user_id", "=", userId),
        ),
      ]),
    )
    .execute();
  return new Map(rows.map(({ id, name }) => [id, name]));
}

/** `forbidden` for everybody but the owner of the platform. */
export function requirePlatformOwner({ isPlatformOwner }: Principal): void {
  if (isPlatformOwner) return;
  throw new TidemarkError("forbidden", "This is for the owner of the platform");
}

export function hasRight(role: AppRole, right: Right): boolean {
  return RIGHTS[role].includes(right);
}

function requireRight({ app, role, right }: { app: string; role: AppRole; right: Right }): void {
  if (hasRight(role, right)) return;
  const needed = right === "own" ? "its owner" : "its owner or a collaborator with full access";
  const own = role === "limited" ? "a limited collaborator" : "a collaborator";
  throw new TidemarkError("forbidden", `This needs ${needed}: of the app "${app}" you are ${own}`, {
    hint: "Ask the app's owner: tidemark collaborators-update changes a collaborator's role.",
  });
}

/** Live apps that the user owns or collaborates on, each with the user's role. */
function appsOf(db: Db, { userId }: Pick<Principal, "userId">) {
  return db
    .selectFrom("apps")
    .innerJoin("users as owners", "owners.id", "apps.owner_id")
    .leftJoin("collaborators", (join) =>
      join.onRef("collaborators.app_id", "=", "apps.id").on("collaborators.user_id", "=", userId),
    )
    .selectAll("apps")
    .select([
      "owners.username as owner_username",
      "owners.email as owner_email",
      sql<AppRole>`case when apps.owner_id = ${userId} then 'owner' else collaborators.role end`.as("role"),
    ])
    .where((match) => match.or([match("apps.owner_id", "=", userId), match("collaborators.role", "is not", null)]))
    .where("apps.removed_at", "is", null);
}

/** Addons in any state of apps that the user owns or collaborates on, removed apps included, each with the user's role. */
function addonsOf(db: Db, { userId }: Pick<Principal, "userId">) {
  return addonFacts(db)
    .leftJoin("collaborators", (join) =>
      join.onRef("collaborators.app_id", "=", "apps.id").on("collaborators.user_id", "=", userId),
    )
    .select(sql<AppRole>`case when apps.owner_id = ${userId} then 'owner' else collaborators.role end`.as("role"))
    .where((match) => match.or([match("apps.owner_id", "=", userId), match("collaborators.role", "is not", null)]));
}

function addonFacts(db: Db) {
  return db
    .selectFrom("addons")
    .innerJoin("apps", "apps.id", "addons.app_id")
    .innerJoin("databases", "databases.addon_id", "addons.id")
    .selectAll("addons")
    .select([
      "apps.name as app_name",
      "apps.owner_id",
      "databases.host_id",
      "databases.major",
      "databases.port",
      "databases.version",
      "databases.status",
      "databases.status_reason",
      "databases.periodic_backups_enabled",
      "databases.periodic_hour_utc",
    ]);
}

function addonNotFound(word: string): TidemarkError {
  return new TidemarkError("not_found", `There is no addon "${word}"`, {
    hint: "tidemark addons lists those of an app.",
  });
}

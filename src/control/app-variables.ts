import { type Kysely, sql, type Transaction } from "kysely";
import { TidemarkError } from "../core/errors.ts";
import { newObjectId } from "../core/ids.ts";
import { type AppRow, findApp, listAddons } from "./access.ts";
import { type ControlContext, unwrapText } from "./context.ts";
import { recordEvent } from "./events.ts";
import type { Principal, Variable } from "./model.ts";
import type { ControlSchema } from "./schema.ts";
import { readVariable, requireRoom } from "./variable-input.ts";
import type { VariableChange, VariableService } from "./variable-service.ts";
import { followAliases, isReservedName, variableNames, type VariableSource, variablesOf } from "./variables.ts";

type VariableContext = Pick<ControlContext, "database" | "clock" | "secrets" | "hostNameOf">;
type Change = "new_vars" | "updated_vars" | "deleted_vars";

export function createVariableService(context: VariableContext): VariableService {
  return {
    async create(principal, app, input) {
      const [made] = await storeVariables(context, principal, { app, changes: [input], onlyNew: true });
      if (made === undefined) throw new TidemarkError("bug", "A variable that was just stored is gone");
      return made;
    },
    set: (principal, app, changes) => storeVariables(context, principal, { app, changes, onlyNew: false }),
    change: (principal, app, input) => changeVariable(context, principal, { app, ...input }),
    remove: (principal, app, ids) => removeVariables(context, principal, { app, ids }),
  };
}

/** The app's variables: those of its databases in order of creation, then those that users set, by name. */
export async function readVariables(
  context: VariableContext,
  principal: Principal,
  { app, expandAliases }: { app: string; expandAliases: boolean },
): Promise<Variable[]> {
  const { db } = context.database;
  const row = await findApp(db, principal, app, "operate");
  const ofDatabases = variablesOf(await readSources(context, row));
  const taken = new Set(ofDatabases.map(({ name }) => name));
  const stored = await db
    .selectFrom("app_variables")
    .selectAll()
    .where("app_id", "=", row.id)
    .orderBy("name")
    .execute();
  const set: Variable[] = [];
  for (const { id, name, wrapped_value: wrapped } of stored) {
    if (taken.has(name)) continue;
    const value = await unwrapText(context.secrets, wrapped, `variable ${name} of ${row.name}`);
    set.push({ id, name, value, isManaged: false });
  }
  const all = [...ofDatabases, ...set];
  return expandAliases ? followAliases(all) : all;
}

async function readSources(context: VariableContext, app: AppRow): Promise<VariableSource[]> {
  const { db } = context.database;
  const sources: VariableSource[] = [];
  for (const addon of await listAddons(db, app)) {
    // Until its first start a database has no port, and so no address to give.
    if (addon.port === null) continue;
    const row = await db
      .selectFrom("databases")
      .select("wrapped_owner_password")
      .where("addon_id", "=", addon.id)
      .executeTakeFirstOrThrow();
    sources.push({
      addonName: addon.name,
      resourceId: addon.resource_id,
      host: context.hostNameOf(addon.resource_id),
      port: addon.port,
      password: await unwrapText(context.secrets, row.wrapped_owner_password, `password of ${addon.resource_id}`),
    });
  }
  return sources;
}

async function storeVariables(
  context: VariableContext,
  principal: Principal,
  { app, changes, onlyNew }: { app: string; changes: readonly VariableChange[]; onlyNew: boolean },
): Promise<Variable[]> {
  const { database, clock, secrets } = context;
  const wanted = new Map(changes.map((change) => [change.name, readVariable(change).value]));
  const row = await findApp(database.db, principal, app, "manage");
  const wrapped = await Promise.all([...wanted.values()].map((value) => secrets.wrap(Buffer.from(value))));
  return await database.db.transaction().execute(async (transaction) => {
    await transaction.selectFrom("apps").select("id").where("id", "=", row.id).forUpdate().execute();
    const managed = await managedNames(transaction, row);
    const stored = await storedNames(transaction, row);
    for (const name of wanted.keys()) {
      if (managed.has(name) || isReservedName(name)) throw ofDatabase(name);
      if (onlyNew && stored.has(name)) throw takenName(name);
    }
    const added = [...wanted.keys()].filter((name) => !stored.has(name));
    requireRoom(stored.size + added.length);
    const variables: Variable[] = [];
    for (const [index, [name, value]] of [...wanted].entries()) {
      const { id } = await transaction
        .insertInto("app_variables")
        .values({
          id: newObjectId(clock.now()),
          app_id: row.id,
          name,
          wrapped_value: wrapped[index] ?? Buffer.alloc(0),
          created_at: clock.now(),
        })
        .onConflict((conflict) =>
          conflict.columns(["app_id", "name"]).doUpdateSet({ wrapped_value: wrapped[index] ?? Buffer.alloc(0) }),
        )
        .returning("id")
        .executeTakeFirstOrThrow();
      variables.push({ id, name, value, isManaged: false });
    }
    const updated = [...wanted.keys()].filter((name) => stored.has(name));
    await recordEdit(context, transaction, { principal, app: row, names: { new_vars: added, updated_vars: updated } });
    return variables;
  });
}

async function changeVariable(
  context: VariableContext,
  principal: Principal,
  { app, id, value }: { app: string; id: string; value: string },
): Promise<Variable> {
  const row = await findApp(context.database.db, principal, app, "manage");
  const name = (await namesOfIds(context.database.db, row, [id]))[0] ?? "";
  const [changed] = await storeVariables(context, principal, { app, changes: [{ name, value }], onlyNew: false });
  if (changed === undefined) throw variableNotFound(id);
  return changed;
}

async function removeVariables(
  context: VariableContext,
  principal: Principal,
  { app, ids }: { app: string; ids: readonly string[] },
): Promise<void> {
  const { db } = context.database;
  const row = await findApp(db, principal, app, "manage");
  await db.transaction().execute(async (transaction) => {
    const names = await namesOfIds(transaction, row, ids);
    if (names.length === 0) return;
    await transaction
      .deleteFrom("app_variables")
      .where("app_id", "=", row.id)
      .where(sql<string>`id`, "in", ids)
      .execute();
    await recordEdit(context, transaction, { principal, app: row, names: { deleted_vars: names } });
  });
}

/** In the order of the ids. A variable of a database has an id as well, which is known here to be told apart from none. */
async function namesOfIds(db: Kysely<ControlSchema>, app: AppRow, ids: readonly string[]): Promise<string[]> {
  if (ids.length === 0) return [];
  const rows = await db
    .selectFrom("app_variables")
    .select(["id", "name"])
    .where("app_id", "=", app.id)
    .where(sql<string>`id`, "in", ids)
    .execute();
  const nameOf = new Map<string, string>(rows.map(({ id, name }) => [id, name]));
  const missing = ids.find((id) => !nameOf.has(id));
  if (missing === undefined) return ids.map((id) => nameOf.get(id) ?? "");
  const addons = await listAddons(db, app);
  const managed = addons
    .flatMap((addon, index) => variableNames({ addonName: addon.name, resourceId: addon.resource_id }, index))
    .find(({ id }) => id === missing);
  throw managed === undefined ? variableNotFound(missing) : ofDatabase(managed.name);
}

async function managedNames(db: Transaction<ControlSchema>, app: AppRow): Promise<Set<string>> {
  const addons = await listAddons(db, app);
  return new Set(
    addons.flatMap(({ name, resource_id: resourceId }, index) =>
      variableNames({ addonName: name, resourceId }, index).map((variable) => variable.name),
    ),
  );
}

async function storedNames(db: Transaction<ControlSchema>, app: AppRow): Promise<Set<string>> {
  const rows = await db.selectFrom("app_variables").select("name").where("app_id", "=", app.id).execute();
  return new Set(rows.map(({ name }) => name));
}

/** Names alone: values are secrets. */
async function recordEdit(
  { clock }: VariableContext,
  transaction: Transaction<ControlSchema>,
  { principal, app, names }: { principal: Principal; app: AppRow; names: Partial<Record<Change, string[]>> },
): Promise<void> {
  const listed = (change: Change) => (names[change] ?? []).map((name) => ({ name, value: "" as const }));
  const data = {
    new_vars: listed("new_vars"),
    updated_vars: listed("updated_vars"),
    deleted_vars: listed("deleted_vars"),
  };
  const place = { appId: app.id, appName: app.name };
  await recordEvent(transaction, { type: "edit_variables", data, actor: principal, at: clock.now(), place });
}

function ofDatabase(name: string): TidemarkError {
  return new TidemarkError("conflict", `The variable "${name}" is a database's, and changes with it alone`, {
    hint: "Choose another name; a value such as $SCALINGO_POSTGRESQL_URL follows that variable.",
  });
}

function takenName(name: string): TidemarkError {
  return new TidemarkError("invalid_fields", `There is a variable "${name}" already`, {
    fields: { name: ["is taken"] },
  });
}

function variableNotFound(id: string): TidemarkError {
  return new TidemarkError("not_found", `There is no variable "${id}"`, {
    hint: "tidemark env lists those of an app.",
  });
}

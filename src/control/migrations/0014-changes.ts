import { type Kysely, sql } from "kysely";

/**
 * Says of each change what it is about, on a channel that running platforms listen to: by triggers, so that no statement that changes a row can forget it.
 * A notification is sent when its transaction commits, and once for all equal ones of it.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql.raw(ANNOUNCE).execute(db);
  for (const announced of ANNOUNCED)
    for (const statement of triggersOf(announced)) await sql.raw(statement).execute(db);
}

/** Which tables are announced how. The topics are those of `change-service.ts`, the columns those that name the app, addon or user. */
interface Announced {
  readonly table: string;
  readonly topic: string;
  /** What the column names; `platform` is for what only its owner sees, and needs none. */
  readonly about: "app" | "addon" | "user" | "platform";
  readonly column: string;
  /** Distinguishes the triggers of a table that has several of this topic; default the topic. */
  readonly name?: string;
  /** Only of such rows; `row` stands for the row. */
  readonly where?: string;
  /** Updates of these alone say nothing to anybody: leases, times of the last look. */
  readonly ignored?: readonly string[];
  /** Default all. */
  readonly on?: readonly Occasion[];
}

type Occasion = "insert" | "update" | "delete";

const ofKinds = (...kinds: readonly string[]): string => `row.kind in (${kinds.map((kind) => `'${kind}'`).join(", ")})`;
const LEASE = ["lease_owner", "lease_until", "run_after"];

const ANNOUNCED: readonly Announced[] = [
  { table: "apps", topic: "apps", about: "app", column: "id" },
  { table: "collaborators", topic: "collaborators", about: "app", column: "app_id" },
  // Whoever is let in, or out, has another list of apps.
  { table: "collaborators", topic: "apps", about: "user", column: "user_id" },
  { table: "app_variables", topic: "variables", about: "app", column: "app_id" },
  { table: "notifiers", topic: "notifiers", about: "app", column: "app_id" },
  { table: "addons", topic: "database", about: "addon", column: "id" },
  { table: "databases", topic: "database", about: "addon", column: "addon_id" },
  { table: "database_features", topic: "database", about: "addon", column: "addon_id" },
  { table: "maintenances", topic: "database", about: "addon", column: "addon_id" },
  { table: "backups", topic: "backups", about: "addon", column: "addon_id" },
  ...(
    [
      ["backups", ofKinds("logical_backup", "expire_backups")],
      ["window", ofKinds("base_backup")],
      ["restores", ofKinds("logical_restore", "addon_copy", "pitr_plan", "pitr_restore", "pitr_undo", "pitr_swap")],
      ["database", ofKinds("provision", "reconfigure", "change_plan", "maintain", "remove")],
    ] as const
  ).map(([topic, where]): Announced => ({
    table: "operations",
    topic,
    about: "addon",
    column: "addon_id",
    where,
    ignored: LEASE,
  })),
  { table: "logical_restores", topic: "restores", about: "addon", column: "addon_id" },
  { table: "addon_copies", topic: "restores", about: "addon", column: "addon_id" },
  { table: "point_in_time_operations", topic: "restores", about: "addon", column: "addon_id" },
  { table: "lineages", topic: "window", about: "addon", column: "addon_id" },
  { table: "base_backups", topic: "window", about: "addon", column: "addon_id" },
  { table: "wal_gaps", topic: "window", about: "addon", column: "addon_id" },
  { table: "timelines", topic: "window", about: "addon", column: "addon_id" },
  {
    table: "wal_streams",
    topic: "window",
    about: "addon",
    column: "addon_id",
    ignored: ["lease_owner", "lease_until", "updated_at"],
  },
  { table: "database_health", topic: "health", about: "addon", column: "addon_id", ignored: ["asked_at"] },
  {
    table: "events",
    topic: "events",
    about: "addon",
    column: "addon_id",
    where: "row.addon_id is not null",
    on: ["insert"],
  },
  {
    table: "events",
    topic: "events",
    name: "events_of_app",
    about: "app",
    column: "app_id",
    where: "row.addon_id is null and row.app_id is not null",
    on: ["insert"],
  },
  {
    table: "events",
    topic: "events",
    name: "events_of_actor",
    about: "user",
    column: "actor_id",
    where: "row.app_id is null and row.actor_id is not null",
    on: ["insert"],
  },
  {
    table: "events",
    topic: "events",
    name: "events_of_subject",
    about: "user",
    column: "subject_user_id",
    where: "row.app_id is null and row.subject_user_id is not null",
    on: ["insert"],
  },
  {
    table: "events",
    topic: "events",
    name: "events_of_nobody",
    about: "platform",
    column: "",
    where: "row.app_id is null and row.actor_id is null and row.subject_user_id is null",
    on: ["insert"],
  },
  { table: "users", topic: "account", about: "user", column: "id" },
  { table: "api_tokens", topic: "account", about: "user", column: "user_id", ignored: ["last_used_at"] },
  { table: "ssh_keys", topic: "account", about: "user", column: "user_id" },
  { table: "second_factors", topic: "account", about: "user", column: "user_id", ignored: ["last_step"] },
  // So that a stream of a session that has ended ends, too.
  { table: "browser_sessions", topic: "account", about: "user", column: "user_id", on: ["delete"] },
];

/** A notification's text: topic, app, addon and user, `-` for what it isn't about. */
const ANNOUNCE = `create function announce_change() returns trigger language plpgsql as $$
  declare
    named text;
    app text;
    addon text;
    login text;
  begin
    if tg_argv[1] <> 'platform' then
      if tg_op = 'DELETE' then
        execute format('select ($1).%I::text', tg_argv[2]) into named using old;
      else
        execute format('select ($1).%I::text', tg_argv[2]) into named using new;
      end if;
      if named is null then
        return null;
      end if;
    end if;
    case tg_argv[1]
      when 'app' then app := named;
      when 'user' then login := named;
      when 'addon' then
        addon := named;
        select app_id into app from addons where id = named;
      else null;
    end case;
    perform pg_notify('tidemark_changes', concat_ws(' ', tg_argv[0], coalesce(app, '-'), coalesce(addon, '-'), coalesce(login, '-')));
    return null;
  end
$$`;

function triggersOf(announced: Announced): string[] {
  const { table, topic, about, column, name = topic, on = ["insert", "update", "delete"] } = announced;
  return on.map((occasion) => {
    const conditions = [...rowCondition(announced, occasion), ...changeCondition(announced, occasion)];
    const when = conditions.length === 0 ? "" : `when (${conditions.join(" and ")})`;
    return `create trigger announce_${name}_${about}_${occasion} after ${occasion} on ${table} for each row ${when}
      execute function announce_change('${topic}', '${about}', '${column}')`;
  });
}

function rowCondition({ where }: Announced, occasion: Occasion): string[] {
  return where === undefined ? [] : [`(${where.replaceAll("row.", occasion === "delete" ? "old." : "new.")})`];
}

/** An update that leaves a row as it was is none. */
function changeCondition({ ignored = [] }: Announced, occasion: Occasion): string[] {
  if (occasion !== "update") return [];
  if (ignored.length === 0) return ["old.* is distinct from new.*"];
  const without = `'{${ignored.join(",")}}'::text[]`;
  return [`to_jsonb(old) - ${without} is distinct from to_jsonb(new) - ${without}`];
}

import { readFile } from "node:fs/promises";
import { z } from "zod";
import type { ControlDatabase } from "../control/database.ts";
import { TidemarkError } from "../core/errors.ts";
import {
  ALERTS_BY_CLASS,
  type BackupPlan,
  type PlanCatalogue,
  planCatalogue,
  SHIPPED_PLANS,
  UNDO_HOURS_STARTER,
} from "../policy/plans.ts";

const PLANS_MAX = 100;
/** Below it, a server has too little for its own connections. */
const MEMORY_MB_MIN = 128;
/** A terabyte: more is a slip, such as bytes in place of megabytes. */
const MEMORY_MB_MAX = 1024 * 1024;
/** Ten years, for counts of days; more is a slip. */
const DAYS_MAX = 3660;
const COUNT_MAX = 1000;
/** A month: what is kept to undo a restore takes as much disk as the database. */
const UNDO_HOURS_MAX = 31 * 24;

const count = (from: number) => z.int().min(from).max(COUNT_MAX);
const days = z.int().min(1).max(DAYS_MAX);
/** Below two minutes a check, which looks once a minute, would tell of itself; a day is what every plan has at most. */
const alertMinutes = z
  .int()
  .min(2)
  .max(24 * 60);
const label = (charsMax: number) =>
  z
    .string()
    .min(1)
    .max(charsMax)
    .regex(/^\P{Cc}*$/u, "must have no control characters");

const PlanInFile = z.strictObject({
  name: z
    .string()
    .max(100)
    .regex(
      /^postgresql-[a-z0-9]+(-[a-z0-9]+)*$/,
      "must begin with postgresql-, in lower-case letters, digits and hyphens",
    ),
  display_name: label(100),
  description: label(1000),
  service_class: z.enum(["starter", "business"]),
  memory_mb: z.int().min(MEMORY_MB_MIN).max(MEMORY_MB_MAX),
  undo_hours: z.int().min(0).max(UNDO_HOURS_MAX).default(UNDO_HOURS_STARTER),
  retention: z.strictObject({
    daily: count(1),
    weekly: count(0),
    monthly: count(0),
    manual: count(1),
    recovery_window_days: days,
    manual_after_deletion_days: days,
  }),
  alerts: z
    .strictObject({ delayed_after_minutes: alertMinutes, stale_after_minutes: alertMinutes })
    .refine((each) => each.delayed_after_minutes <= each.stale_after_minutes, "stale can't come before delayed")
    .optional(),
});
const PlansFile = z.strictObject({ plans: z.array(PlanInFile).max(PLANS_MAX) });

/**
 * The plans of this platform: those that we ship, then those of the operator's file.
 *
 * @param path a JSON file, described in docs/operating/plans.md; null for none.
 * @throws `config_invalid` naming the file, the place in it and what it must be.
 */
export async function readPlanCatalogue(path: string | null): Promise<PlanCatalogue> {
  if (path === null) return planCatalogue();
  const parsed = PlansFile.safeParse(await readJson(path));
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw invalidFile(path, `${placeOf(issue?.path ?? [])}: ${issue?.message ?? "not allowed"}`);
  }
  const plans = parsed.data.plans.map(planOf);
  const taken = new Set(SHIPPED_PLANS.map(({ name }) => name));
  for (const { name } of plans) {
    if (taken.has(name)) throw invalidFile(path, `there are two plans with the name "${name}"`);
    taken.add(name);
  }
  return planCatalogue(plans);
}

/** `config_invalid` when a database has a plan that is not in the catalogue: nobody could say what is kept of it. */
export async function requirePlansInUse({ db }: ControlDatabase, plans: PlanCatalogue): Promise<void> {
  const rows = await db.selectFrom("addons").select(["plan_name", "resource_id"]).distinctOn("plan_name").execute();
  const unknown = rows.find(({ plan_name: name }) => plans.find(name) === undefined);
  if (unknown === undefined) return;
  throw new TidemarkError(
    "config_invalid",
    `The database ${unknown.resource_id} has the plan "${unknown.plan_name}", which is not in the list of plans`,
    { hint: "Put that plan back into the file that TIDEMARK_PLANS_FILE names; see docs/operating/plans.md." },
  );
}

async function readJson(path: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(path, "utf8"));
  } catch (error) {
    const why = error instanceof SyntaxError ? "it is not JSON" : "it can't be read";
    throw invalidFile(path, why, error);
  }
}

function placeOf(path: readonly PropertyKey[]): string {
  return path.length === 0 ? "the whole" : path.map(String).join(".");
}

function invalidFile(path: string, why: string, cause?: unknown): TidemarkError {
  return new TidemarkError("config_invalid", `TIDEMARK_PLANS_FILE is "${path}": ${why}`, {
    hint: "docs/operating/plans.md shows what the file holds.",
    ...(cause === undefined ? {} : { cause }),
  });
}

function planOf(plan: z.infer<typeof PlanInFile>): BackupPlan {
  const { retention } = plan;
  return {
    name: plan.name,
    displayName: plan.display_name,
    description: plan.description,
    serviceClass: plan.service_class,
    memoryMb: plan.memory_mb,
    position: 0,
    undoHours: plan.undo_hours,
    retention: {
      dailyCount: retention.daily,
      weeklyCount: retention.weekly,
      monthlyCount: retention.monthly,
      manualCount: retention.manual,
      recoveryWindowDays: retention.recovery_window_days,
      manualAfterDeletionDays: retention.manual_after_deletion_days,
    },
    alerts:
      plan.alerts === undefined
        ? ALERTS_BY_CLASS[plan.service_class]
        : {
            delayedAfterMinutes: plan.alerts.delayed_after_minutes,
            staleAfterMinutes: plan.alerts.stale_after_minutes,
          },
  };
}

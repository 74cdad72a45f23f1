/** What a plan promises about backups, and the memory its server gets. Data, not code: an operator can add one. */
export interface BackupPlan {
  /** `postgresql-starter-512`; also the plan's id in the API. */
  readonly name: string;
  readonly displayName: string;
  readonly description: string;
  readonly serviceClass: "starter" | "business";
  readonly memoryMb: number;
  /** Order in lists, from 1. */
  readonly position: number;
  /** How long a restore in place can be undone: the replaced data is kept so many hours. */
  readonly undoHours: number;
  readonly retention: {
    /** One scheduled backup is kept for each of so many days, weeks and months. */
    readonly dailyCount: number;
    readonly weeklyCount: number;
    readonly monthlyCount: number;
    /** So many manual backups are kept; one more removes the oldest. */
    readonly manualCount: number;
    /** How far back any moment can be restored. */
    readonly recoveryWindowDays: number;
    /** How long a manual backup outlives its database, counted from its creation. */
    readonly manualAfterDeletionDays: number;
  };
  /** How old the newest restorable moment may get before somebody is told. */
  readonly alerts: { readonly delayedAfterMinutes: number; readonly staleAfterMinutes: number };
}

const STARTER = {
  dailyCount: 7,
  weeklyCount: 4,
  monthlyCount: 0,
  manualCount: 10,
  recoveryWindowDays: 7,
  manualAfterDeletionDays: 31,
};
const BUSINESS = {
  dailyCount: 7,
  weeklyCount: 8,
  monthlyCount: 12,
  manualCount: 50,
  recoveryWindowDays: 7,
  manualAfterDeletionDays: 365,
};

/** A day to notice a mistake; three, so that a weekend is among them. */
export const UNDO_HOURS_STARTER = 24;
const UNDO_HOURS_BUSINESS = 72;
/** A stream is seconds behind as a rule: minutes ride out restarts of the worker and short outages of the store. */
export const ALERTS_BY_CLASS: Readonly<Record<BackupPlan["serviceClass"], BackupPlan["alerts"]>> = {
  starter: { delayedAfterMinutes: 15, staleAfterMinutes: 60 },
  business: { delayedAfterMinutes: 5, staleAfterMinutes: 30 },
};

const plan = (
  serviceClass: BackupPlan["serviceClass"],
  { memoryMb, size, position }: { memoryMb: number; size: string; position: number },
): BackupPlan => ({
  name: `postgresql-${serviceClass}-${memoryMb}`,
  displayName: `${serviceClass === "starter" ? "Starter" : "Business"} ${size}`,
  description:
    serviceClass === "starter"
      ? `One server with ${size} of memory, backed up every day`
      : `One server with ${size} of memory, backed up every day, backups kept for a year`,
  serviceClass,
  memoryMb,
  position,
  undoHours: serviceClass === "starter" ? UNDO_HOURS_STARTER : UNDO_HOURS_BUSINESS,
  retention: serviceClass === "starter" ? STARTER : BUSINESS,
  alerts: ALERTS_BY_CLASS[serviceClass],
});

/** The plans that we ship, by position. */
export const SHIPPED_PLANS: readonly BackupPlan[] = [
  plan("starter", { memoryMb: 512, size: "512M", position: 1 }),
  plan("starter", { memoryMb: 1024, size: "1G", position: 2 }),
  plan("starter", { memoryMb: 2048, size: "2G", position: 3 }),
  plan("business", { memoryMb: 512, size: "512M", position: 4 }),
  plan("business", { memoryMb: 1024, size: "1G", position: 5 }),
  plan("business", { memoryMb: 2048, size: "2G", position: 6 }),
];

/** The plans of one platform: those that we ship, and its operator's own. */
export interface PlanCatalogue {
  /** By position. */
  readonly all: readonly BackupPlan[];
  /** The plan of this name; undefined when there is none. */
  find(name: string): BackupPlan | undefined;
}

/**
 * @param added the operator's own, listed behind ours; names differ from ours and from each other, and the positions given are not looked at.
 */
export function planCatalogue(added: readonly BackupPlan[] = []): PlanCatalogue {
  const behind = added.map((each, index) => Object.assign({}, each, { position: SHIPPED_PLANS.length + index + 1 }));
  const all = [...SHIPPED_PLANS, ...behind];
  const byName = new Map(all.map((each) => [each.name, each]));
  return { all, find: (name) => byName.get(name) };
}

import { type EventType, isEventType } from "../core/event-types.ts";
import type { Notice } from "../notify/notice.ts";
import { eventJson } from "./event-json.ts";
import type { Event } from "./event-service.ts";

const BAD: ReadonlySet<EventType> = new Set([
  "database_backup_failed",
  "database_backup_overdue",
  "database_base_backup_failed",
  "database_continuousbackup_delayed",
  "database_continuousbackup_stale",
  "database_wal_lost",
  "database_history_changed",
  "database_damage_found",
  "database_restore_failed",
]);
const GOOD: ReadonlySet<EventType> = new Set([
  "database_backup_succeeded",
  "database_base_backup_succeeded",
  "database_continuousbackup_healthy",
  "database_restore_succeeded",
]);

/** What to do now, for what needs somebody. Sentences; `{app}` and `{addon}` stand for options of the command line. */
const NEXT_STEPS: Partial<Record<EventType, string>> = {
  database_backup_failed:
    "Take one by hand once the cause is gone: tidemark --app {app} --addon {addon} backups-create",
  database_backup_overdue: "See what stands in the way: tidemark status",
  database_base_backup_failed: "It is tried again by itself; what can be restored now: tidemark status",
  database_continuousbackup_delayed: "See how far behind it is: tidemark status",
  database_continuousbackup_stale:
    "Recent changes are not backed up. Look at the database server and the repository's storage: tidemark status",
  database_wal_lost:
    "A base backup follows by itself. The hole is shown by: tidemark --app {app} --addon {addon} database-pitr-recovery-window",
  database_damage_found: "Find out what can be restored: tidemark repository verify --deep",
  database_restore_failed: "The database is as it was before. Look at the reason, then start the restore again.",
};

/** What people are told of an event. `publicUrl` is the platform's address, without a slash at its end. */
export function noticeOfEvent(event: Event, publicUrl: string): Notice {
  const { type, appName: app } = event;
  const facts = [
    { label: "App", value: app },
    { label: "Database", value: event.resourceId },
    { label: "When", value: event.createdAt.toISOString() },
    { label: "By", value: event.actor?.username ?? null },
  ];
  return {
    id: event.id,
    type,
    tone: toneOf(type),
    title: app === null ? event.text : `[${app}] ${event.text}`,
    facts: facts.flatMap(({ label, value }) => (value === null ? [] : [{ label, value }])),
    nextStep: nextStepOf(event),
    link: app === null ? publicUrl : `${publicUrl}/apps/${app}`,
    event: eventJson(event),
  };
}

/** A notice that shows that a notifier works. */
export function testNotice(input: {
  readonly id: string;
  readonly appName: string;
  readonly at: Date;
  readonly publicUrl: string;
}): Notice {
  const { id, appName, at, publicUrl } = input;
  return {
    id,
    type: "test",
    tone: "neutral",
    title: `[${appName}] Test of a notifier`,
    facts: [
      { label: "App", value: appName },
      { label: "When", value: at.toISOString() },
    ],
    nextStep: null,
    link: `${publicUrl}/apps/${appName}`,
    event: { id, created_at: at.toISOString(), type: "test", app_name: appName, type_data: {} },
  };
}

function toneOf(type: string): Notice["tone"] {
  if (!isEventType(type)) return "neutral";
  if (BAD.has(type)) return "bad";
  return GOOD.has(type) ? "good" : "neutral";
}

function nextStepOf({ type, appName: app, resourceId: addon }: Event): string | null {
  const step = isEventType(type) ? NEXT_STEPS[type] : undefined;
  return step?.replace("{app}", app ?? "APP").replace("{addon}", addon ?? "ADDON") ?? null;
}

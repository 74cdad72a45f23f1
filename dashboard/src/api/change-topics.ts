import type { QueryClient } from "@tanstack/react-query";
import type { Changes } from "../../generated/api.ts";
import type { Input, OperationId } from "./call.ts";

type Change = Changes["changes"][number];
type Topic = Change["topics"][number];

/** What may read otherwise after a change of each topic. A query that stands nowhere here is never fetched again by itself. */
const OPERATIONS_OF: Readonly<Record<Topic, readonly OperationId[]>> = {
  apps: ["listApps", "showApp", "listAddons", "listPlatformDatabases"],
  account: ["showSession", "showSelf", "showSecondFactor", "listTokens", "listKeys", "listUsers"],
  backups: ["listBackups", "showPeriodicBackups", "showStatus", "listPlatformDatabases", "listPlatformOperations"],
  collaborators: ["listCollaborators", "showApp"],
  database: [
    "listApps",
    "showApp",
    "listAddons",
    "listVariables",
    "showDatabase",
    "showPeriodicBackups",
    "showRecoveryWindow",
    "listMaintenances",
    "listDatabaseUsers",
    "showStatus",
    "listPlatformDatabases",
    "listPlatformOperations",
  ],
  events: ["listAppEvents", "listAudit"],
  health: ["showStatus", "showDatabase", "listDatabaseSamples", "listPlatformDatabases"],
  notifiers: ["listNotifiers"],
  restores: [
    "listLogicalRestores",
    "listDatabaseOperations",
    "showDatabaseOperation",
    "listAddons",
    "listPlatformOperations",
  ],
  variables: ["listVariables"],
  window: ["showRecoveryWindow", "showStatus", "listPlatformDatabases", "listPlatformOperations"],
};
/** Of what is told while a round is under way; beyond that all is fetched again. */
const WAITING_MAX = 20;
const EVERYTHING: Changes = { everything: true, changes: [] };
const TOLD_OF: ReadonlySet<string> = new Set(Object.values(OPERATIONS_OF).flat());

/**
 * Takes what the platform tells, and fetches again what is on the screen of it. One round at a time: changes that come in between wait for its end, so that
 * a slow connection is never asked to begin again, and the replies of a round are all younger than what it is about.
 */
export function createRefresher(client: QueryClient): (told: Changes) => void {
  let waiting: Changes[] = [];
  let isBusy = false;
  const drain = async () => {
    isBusy = true;
    try {
      while (waiting.length > 0) {
        const round = waiting;
        waiting = [];
        await client.invalidateQueries({ predicate: ({ queryKey }) => round.some((told) => concerns(told, queryKey)) });
      }
    } finally {
      isBusy = false;
    }
  };
  return (told) => {
    waiting = waiting.length < WAITING_MAX ? [...waiting, told] : [EVERYTHING];
    if (!isBusy) void drain();
  };
}

function concerns({ everything, changes }: Changes, queryKey: readonly unknown[]): boolean {
  const [id, input] = queryKey;
  if (typeof id !== "string" || !TOLD_OF.has(id)) return false;
  return everything || changes.some((change) => isAbout(change, id, pathOf(input)));
}

function isAbout(change: Change, id: string, path: { app?: string; addon?: string }): boolean {
  if (!change.topics.some((topic) => OPERATIONS_OF[topic].some((each) => each === id))) return false;
  // An address may name an app by its id. What is about an app alone may concern any of its databases.
  const isOfApp = path.app === undefined || path.app === change.app_name || path.app === change.app_id;
  return isOfApp && (path.addon === undefined || change.addon_id === null || path.addon === change.addon_id);
}

/** The names in the address of a query; `query()` makes all keys. */
function pathOf(input: unknown): { app?: string; addon?: string } {
  return (input as Partial<Input<"showDatabase" & "showApp">> | undefined)?.path ?? {};
}

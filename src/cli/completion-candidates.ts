import type { CommandCall } from "./command.ts";
import { resolveAddonId } from "./addon-reference.ts";
import type { PlatformClient } from "./client.ts";
import { addonsReply, appsReply, backupsReply, keysReply, variablesReply } from "./replies.ts";
import { route } from "./transport.ts";

/** What a word can stand for that the platform knows. */
export type CandidateKind = "app" | "addon" | "backup" | "variable" | "key";
export interface Candidate {
  readonly value: string;
  readonly description: string;
}
export type Candidates = ReadonlyMap<CandidateKind, readonly Candidate[]>;

/** Options whose value the platform knows, by all of their names. */
export const KIND_BY_OPTION: Readonly<Record<string, CandidateKind>> = {
  "--app": "app",
  "-a": "app",
  "--addon": "addon",
  "--backup": "backup",
  "-b": "backup",
};
/** Commands whose arguments are of one kind. */
export const KIND_BY_COMMAND: Readonly<Record<string, CandidateKind>> = {
  destroy: "app",
  "addons-info": "addon",
  "addons-remove": "addon",
  "backups-cancel": "backup",
  "backups-restore": "backup",
  "env-get": "variable",
  "env-unset": "variable",
  "db-tunnel": "variable",
  "keys-remove": "key",
};

/** Somebody waits at a prompt: names that come later are of no use. */
const PATIENCE_MS = 2_000;
/** More than anybody reads. */
const CANDIDATES_MAX = 200;

/**
 * What the platform knows that the last of the words could be; empty when it is nothing of the kind, nobody is logged in, or the platform takes too
 * long. Never fails: an error message in the middle of a command line would help nobody.
 */
export async function findCandidates(call: CommandCall, words: readonly string[]): Promise<Candidates> {
  const kind = kindOfLast(words);
  if (kind === undefined) return new Map();
  const late = new AbortController();
  const pause = call.clock.sleep(PATIENCE_MS, late.signal).catch(() => undefined);
  try {
    const found = await Promise.race([readCandidates(call, words, kind), pause]);
    return new Map(found === undefined ? [] : [[kind, found.slice(0, CANDIDATES_MAX)]]);
  } catch {
    return new Map();
  } finally {
    late.abort();
  }
}

function kindOfLast(words: readonly string[]): CandidateKind | undefined {
  const [before = "", last = ""] = words.slice(-2).length === 2 ? words.slice(-2) : ["", words[0]];
  const assigned = /^(--[a-z-]+)=/.exec(last)?.[1];
  if (assigned !== undefined) return KIND_BY_OPTION[assigned];
  if (KIND_BY_OPTION[before] !== undefined) return KIND_BY_OPTION[before];
  const command = words.slice(0, -1).find((word) => Object.hasOwn(KIND_BY_COMMAND, word));
  return command === undefined ? undefined : KIND_BY_COMMAND[command];
}

async function readCandidates(
  call: CommandCall,
  words: readonly string[],
  kind: CandidateKind,
): Promise<readonly Candidate[]> {
  const client = await call.connect();
  if (kind === "app") {
    const { apps } = (await client.get("/v1/apps", appsReply)).value;
    return apps.map(({ name, owner }) => ({ value: name, description: `app of ${owner.username}` }));
  }
  if (kind === "key") {
    const { keys } = (await client.get("/v1/keys", keysReply)).value;
    return keys.map(({ name }) => ({ value: name, description: "SSH key" }));
  }
  const app = valueOf(words, ["--app", "-a"]) ?? call.settings.app;
  if (app === undefined) return [];
  return await readOfApp(client, { app, kind, addon: valueOf(words, ["--addon"]) ?? call.settings.addon });
}

async function readOfApp(
  client: PlatformClient,
  { app, kind, addon }: { app: string; kind: CandidateKind; addon: string | undefined },
): Promise<readonly Candidate[]> {
  if (kind === "variable") {
    const { variables } = (await client.get(route`/v1/apps/${app}/variables`, variablesReply)).value;
    return variables.map(({ name }) => ({ value: name, description: "variable" }));
  }
  if (kind === "addon") {
    const { addons } = (await client.get(route`/v1/apps/${app}/addons`, addonsReply)).value;
    return addons.map(({ resource_id: value, plan }) => ({ value, description: plan.display_name }));
  }
  const addonId = await resolveAddonId(client, { app, reference: addon ?? "postgresql" });
  const database = client.database({ app, addonId });
  const { database_backups: backups } = (await database.get(route`/api/databases/${addonId}/backups`, backupsReply))
    .value;
  return backups.map(({ id, status, created_at: at }) => ({
    value: id,
    description: `${status}, ${at.toISOString()}`,
  }));
}

function valueOf(words: readonly string[], names: readonly string[]): string | undefined {
  const typed = words.slice(0, -1);
  for (const name of names) {
    const assigned = typed.find((word) => word.startsWith(`${name}=`));
    if (assigned !== undefined) return assigned.slice(name.length + 1);
    const index = typed.indexOf(name);
    if (index !== -1 && typed[index + 1] !== undefined) return typed[index + 1];
  }
  return undefined;
}

import { createHmac, timingSafeEqual } from "node:crypto";
import { TidemarkError } from "../core/errors.ts";
import { type AddonId, isAddonId } from "../core/ids.ts";
import { logLineFormatter, logLineTime } from "../instances/log-lines.ts";
import { followLines, lastLines, listLogArchives, readLines } from "../instances/log-reading.ts";
import { type AddonFacts, findAddonOfCaller } from "./access.ts";
import type { ControlContext } from "./context.ts";
import type { DatabaseLogArchive, DatabaseLogService } from "./database-services.ts";
import type { DatabaseCaller } from "./model.ts";

/** Clients ask for a new address each time; an hour leaves time to copy one. */
const LIFETIME_SECONDS = 3600;
/** How clients name the one server of a database. */
const INSTANCE = "postgresql-1";

export interface LogPlace {
  /** 32 random bytes that sign addresses. */
  readonly key: Uint8Array;
  /** Where users reach the platform, without a path. */
  readonly publicUrl: string;
  /** The file into which the server of this addon logs. */
  readonly logFileOf: (addonId: AddonId) => string;
}

export function createDatabaseLogService(context: ControlContext, place: LogPlace): DatabaseLogService {
  return {
    link: async (caller, word) => addressOf(context, place, await findLoggingAddon(context, caller, word)),
    archives: async (caller, word) => listArchives(context, place, await findLoggingAddon(context, caller, word)),
    async open({ addonId, timestamp, token }) {
      const given = Buffer.from(token, "base64url");
      const wanted = tokenOf(place, { addonId, timestamp });
      const isIntact = given.length === wanted.length && timingSafeEqual(given, wanted);
      if (!isIntact || Number(timestamp) * 1000 <= context.clock.now().getTime() || !isAddonId(addonId)) {
        throw new TidemarkError("link_expired", "This address of a log was altered or has expired", {
          hint: "Ask for a new one: tidemark logs, or the database's /logs route.",
        });
      }
      const path = place.logFileOf(addonId);
      return {
        tail: async (count) => (await lastLines(path, count)).map(logLineFormatter(INSTANCE)),
        async *follow(signal) {
          const format = logLineFormatter(INSTANCE);
          for await (const line of followLines(path, { clock: context.clock, signal })) yield format(line);
        },
        async archive() {
          const [newest] = await listLogArchives(path);
          return newest === undefined ? undefined : formattedLines(newest.path);
        },
      };
    },
  };
}

async function findLoggingAddon(context: ControlContext, caller: DatabaseCaller, word: string): Promise<AddonFacts> {
  const addon = await findAddonOfCaller(context.database.db, caller, word, "read");
  if (addon.host_id === context.hostId) return addon;
  throw new TidemarkError("conflict", `The log of ${addon.resource_id} is on another machine than this API`);
}

/** `of`: what stands behind the log's own path. */
function addressOf({ clock }: ControlContext, place: LogPlace, addon: AddonFacts, of = ""): string {
  const timestamp = String(Math.floor(clock.now().getTime() / 1000) + LIFETIME_SECONDS);
  const token = tokenOf(place, { addonId: addon.id, timestamp }).toString("base64url");
  return `${place.publicUrl}/downloads/logs/${addon.id}${of}?timestamp=${timestamp}&token=${token}`;
}

async function listArchives(
  context: ControlContext,
  place: LogPlace,
  addon: AddonFacts,
): Promise<DatabaseLogArchive[]> {
  const archives = await listLogArchives(place.logFileOf(addon.id));
  return await Promise.all(
    archives.map(async ({ path, sizeBytes, endedAt }) => ({
      url: addressOf(context, place, addon, "/archive"),
      from: (await firstTime(path)) ?? endedAt,
      to: endedAt,
      sizeBytes,
    })),
  );
}

async function firstTime(path: string): Promise<Date | undefined> {
  for await (const line of readLines(path)) {
    const time = logLineTime(line);
    if (time !== undefined) return time;
  }
  return undefined;
}

async function* formattedLines(path: string): AsyncGenerator<string> {
  const format = logLineFormatter(INSTANCE);
  for await (const line of readLines(path)) yield format(line);
}

/** Of another kind of address than a backup's: the same key signs both. */
function tokenOf({ key }: LogPlace, { addonId, timestamp }: { addonId: string; timestamp: string }): Buffer {
  return createHmac("sha256", key).update(`database log\n${addonId}\n${timestamp}`).digest();
}

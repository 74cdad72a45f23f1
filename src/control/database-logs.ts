import { createHmac, timingSafeEqual } from "node:crypto";
import { TidemarkError } from "../core/errors.ts";
import { type AddonId, isAddonId } from "../core/ids.ts";
import { logLineFormatter } from "../instances/log-lines.ts";
import { followLines, lastLines } from "../instances/log-reading.ts";
import { findAddonOfCaller } from "./access.ts";
import type { ControlContext } from "./context.ts";
import type { DatabaseLogService } from "./database-services.ts";

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
  const { db } = context.database;
  return {
    async link(caller, word) {
      const addon = await findAddonOfCaller(db, caller, word, "read");
      if (addon.host_id !== context.hostId) {
        throw new TidemarkError("conflict", `The log of ${addon.resource_id} is on another machine than this API`);
      }
      const timestamp = String(Math.floor(context.clock.now().getTime() / 1000) + LIFETIME_SECONDS);
      const token = tokenOf(place, { addonId: addon.id, timestamp }).toString("base64url");
      return `${place.publicUrl}/downloads/logs/${addon.id}?timestamp=${timestamp}&token=${token}`;
    },
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
      };
    },
  };
}

/** Of another kind of address than a backup's: the same key signs both. */
function tokenOf({ key }: LogPlace, { addonId, timestamp }: { addonId: string; timestamp: string }): Buffer {
  return createHmac("sha256", key).update(`database log\n${addonId}\n${timestamp}`).digest();
}

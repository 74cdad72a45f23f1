import { once } from "node:events";
import { Readable } from "node:stream";
import type { DatabaseUser, Maintenance } from "../../src/control/database-services.ts";
import type { Services } from "../../src/control/services.ts";
import { TidemarkError } from "../../src/core/errors.ts";
import { type AddonId, isObjectId } from "../../src/core/ids.ts";

export const MAINTENANCE_ID = "0193512a0000dddddddddddd";
const DATABASE_USER = "reporting";

/** The nouns of the one database of `inMemoryServices`: one feature, one maintenance, one user beside the owner. */
export function inMemoryDatabaseNouns({
  addonId,
  at,
  known,
  knownAddon,
}: {
  addonId: AddonId;
  at: Date;
  /** Throws `not_found` unless it is true. */
  known: (ok: boolean, what: string) => void;
  knownAddon: (id: string) => void;
}): Pick<Services, "features" | "maintenances" | "databaseUsers" | "databaseLogs"> {
  return {
    features: features(knownAddon),
    maintenances: maintenances({ addonId, at, known, knownAddon }),
    databaseUsers: databaseUsers({ known, knownAddon }),
    databaseLogs: databaseLogs({ addonId, knownAddon }),
  };
}

function features(knownAddon: (id: string) => void): Services["features"] {
  return {
    enable: async (_caller, id, name) => {
      knownAddon(id);
      return { name: knownFeature(name), status: "PENDING", message: "The server is taking it up" };
    },
    disable: async (_caller, id, name) => {
      knownAddon(id);
      return { name: knownFeature(name), message: "It is off" };
    },
  };
}

function knownFeature(name: string): "force-ssl" {
  if (name === "force-ssl") return name;
  throw new TidemarkError("invalid_fields", "There is no such feature", { fields: { feature: ["is unknown"] } });
}

function maintenances({
  addonId,
  at,
  known,
  knownAddon,
}: Parameters<typeof inMemoryDatabaseNouns>[0]): Services["maintenances"] {
  if (!isObjectId(MAINTENANCE_ID)) throw new Error("no object id");
  const maintenance: Maintenance = {
    id: MAINTENANCE_ID,
    addonId,
    type: "restart",
    status: "scheduled",
    reason: "Settings wait for a restart: max_connections",
    createdAt: at,
    startedAt: null,
    endedAt: null,
  };
  return {
    list: async (_caller, id, page) => {
      knownAddon(id);
      return { items: [maintenance], totalCount: 1, ...page };
    },
    show: async (_caller, id, maintenanceId) => {
      knownAddon(id);
      known(maintenanceId === MAINTENANCE_ID, "maintenance");
      return maintenance;
    },
    setWindow: async (_caller, id) => knownAddon(id),
  };
}

export const LOG_TOKEN = "good-token";
export const LOG_LINES = ["one", "two", "three"].map(
  (text) => `2026-11-22 17:11:35.123 +0000 UTC [postgresql-1] ${text}\n`,
);

/** A log to which one line is added for whoever follows it. */
function databaseLogs({
  addonId,
  knownAddon,
}: Pick<Parameters<typeof inMemoryDatabaseNouns>[0], "addonId" | "knownAddon">): Services["databaseLogs"] {
  return {
    link: async (_caller, id) => {
      knownAddon(id);
      return `http://127.0.0.1:8420/downloads/logs/${addonId}?timestamp=1&token=${LOG_TOKEN}`;
    },
    archives: async (_caller, id) => {
      knownAddon(id);
      const url = `http://127.0.0.1:8420/downloads/logs/${addonId}/archive?timestamp=1&token=${LOG_TOKEN}`;
      return [{ url, from: new Date(0), to: new Date(1), sizeBytes: 10 }];
    },
    open: async ({ token }) => {
      if (token !== LOG_TOKEN) throw new TidemarkError("link_expired", "This address of a log has expired");
      return {
        tail: async (count) => LOG_LINES.slice(-count),
        archive: async () => Readable.from(LOG_LINES),
        async *follow(signal) {
          yield "followed\n";
          if (!signal.aborted) await once(signal, "abort");
        },
      };
    },
  };
}

function databaseUsers({
  known,
  knownAddon,
}: Pick<Parameters<typeof inMemoryDatabaseNouns>[0], "known" | "knownAddon">): Services["databaseUsers"] {
  const user: DatabaseUser = {
    name: DATABASE_USER,
    isReadOnly: true,
    isProtected: false,
    passwordEncryption: "SCRAM-SHA-256",
  };
  return {
    list: async (_caller, id) => {
      knownAddon(id);
      return [{ ...user, name: "my_app_4553", isReadOnly: false, isProtected: true }, user];
    },
    create: async (_caller, id, { name, isReadOnly, password }) => {
      knownAddon(id);
      return { user: { ...user, name, isReadOnly }, generatedPassword: password === null ? "generated" : null };
    },
    setPassword: async (_caller, id, { name, password }) => {
      knownAddon(id);
      known(name === DATABASE_USER, "user");
      return { user, generatedPassword: password === null ? "generated" : null };
    },
    remove: async (_caller, id, name) => {
      knownAddon(id);
      known(name === DATABASE_USER, "user");
    },
  };
}

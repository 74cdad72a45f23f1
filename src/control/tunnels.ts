import { sql } from "kysely";
import { TidemarkError } from "../core/errors.ts";
import { type AddonFacts, listAddonsOfUser } from "./access.ts";
import type { ControlContext } from "./context.ts";
import { databaseOfAddon, placeOfAddon, recordEvent } from "./events.ts";
import type { Principal } from "./model.ts";
import { findUserByKey } from "./ssh-keys.ts";
import type { TunnelCaller, TunnelService, TunnelTarget } from "./tunnel-service.ts";
import { loadPrincipal } from "./users.ts";

export interface TunnelContext extends Pick<ControlContext, "database" | "clock" | "hostId" | "hostNameOf"> {
  /** The address that this machine's database servers listen on, as PostgreSQL takes it: `127.0.0.1`, `*`. */
  readonly databaseBind: string;
  readonly issueJwt: (principal: Principal) => Promise<string>;
}

/** Who may go where through the SSH gateway. A destination is compared with what the user may reach, and never looked up. */
export function createTunnelService(context: TunnelContext): TunnelService {
  return {
    authenticate: (input) => authenticate(context, input),
    open: (caller, destination) => openTunnel(context, caller, destination),
    review: (caller) => review(context, caller),
    issueJwt: (caller) => issueJwt(context, caller),
  };
}

async function authenticate(
  { database }: TunnelContext,
  { publicKey, address }: { publicKey: Uint8Array; address: string },
): Promise<TunnelCaller | undefined> {
  const key = await findUserByKey(database, publicKey);
  if (key === undefined) return undefined;
  const { userId, keyId, keyName } = key;
  const principal = await loadPrincipal(database, { userId, apiTokenId: null });
  return { principal: { ...principal, address }, keyId, keyName };
}

async function openTunnel(
  context: TunnelContext,
  caller: TunnelCaller,
  { host, port }: { host: string; port: number },
): Promise<TunnelTarget> {
  const { db } = context.database;
  const addons = await listAddonsOfUser(db, caller.principal, "operate");
  const addon = addons.find((each) => each.port === port && context.hostNameOf(each.resource_id) === host);
  if (addon === undefined) {
    throw new TidemarkError("not_found", "You have no database at this host and port", {
      hint: "Give them as they stand in its connection URI: tidemark env-get SCALINGO_POSTGRESQL_URL shows it.",
    });
  }
  const target = targetOf(context, addon, port);
  await recordEvent(db, {
    type: "database_tunnel_opened",
    data: { ...databaseOfAddon(addon), key_name: caller.keyName },
    actor: caller.principal,
    at: context.clock.now(),
    place: placeOfAddon(addon),
  });
  return target;
}

function targetOf({ hostId, databaseBind }: TunnelContext, addon: AddonFacts, port: number): TunnelTarget {
  if (addon.host_id !== hostId) {
    throw new TidemarkError("conflict", `The database ${addon.resource_id} runs on another machine`, {
      hint: "Connect to that machine's SSH gateway.",
    });
  }
  // Its port is another program's for as long as it doesn't run.
  if (addon.status !== "running") {
    throw new TidemarkError("server_not_running", `The database ${addon.resource_id} is not running`);
  }
  return { addonId: addon.id, resourceId: addon.resource_id, host: localAddress(databaseBind), port };
}

function localAddress(bind: string): string {
  if (bind === "*" || bind === "0.0.0.0") return "127.0.0.1";
  return bind === "::" ? "::1" : bind;
}

async function review({ database }: TunnelContext, caller: TunnelCaller): ReturnType<TunnelService["review"]> {
  const key = await database.db
    .selectFrom("ssh_keys")
    .select("id")
    .where(sql`id`, "=", caller.keyId)
    .where("user_id", "=", caller.principal.userId)
    .executeTakeFirst();
  if (key === undefined) return undefined;
  const addons = await listAddonsOfUser(database.db, caller.principal, "operate");
  return new Set(addons.map((addon) => addon.id));
}

async function issueJwt({ database, clock, issueJwt: issue }: TunnelContext, caller: TunnelCaller): Promise<string> {
  const { principal } = caller;
  await recordEvent(database.db, {
    type: "login_success",
    data: { remote_ip: principal.address ?? "unknown", method: "ssh_key" },
    actor: principal,
    at: clock.now(),
  });
  return await issue(await loadPrincipal(database, { userId: principal.userId, apiTokenId: null }));
}

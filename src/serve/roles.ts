import { TidemarkError } from "../core/errors.ts";

/**
 * - `api`: HTTP. - `scheduler`: finds what is due and sends it to the queue. - `worker`: backups. - `host`: PostgreSQL servers of this machine.
 * - `gateway`: SSH tunnels to databases of this machine.
 */
export const ROLES = ["api", "scheduler", "worker", "host", "gateway"] as const;
export type Role = (typeof ROLES)[number];

/** Roles as typed after `--roles`, joined by commas; all when undefined. `config_invalid` for a word that is no role. */
export function readRoles(text: string | undefined): ReadonlySet<Role> {
  if (text === undefined) return new Set(ROLES);
  const words = text.split(",").map((word) => word.trim());
  return new Set(words.map(readRole));
}

function readRole(word: string): Role {
  const role = ROLES.find((candidate) => candidate === word);
  if (role !== undefined) return role;
  throw new TidemarkError("config_invalid", `"${word}" is not a role`, { hint: `The roles are ${ROLES.join(", ")}.` });
}

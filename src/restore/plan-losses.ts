import type { TransactionPrepared } from "../postgres/wal/record.ts";

/** `of today`: the roles get those of the server that the copy replaces. */
export type RestoredPasswords = "of then" | "of today";

/**
 * What a recovered copy is without, or has although it was gone: sentences for people, true of every recovery of PostgreSQL. Pure.
 *
 * @param facts.unloggedRelations unlogged tables, indexes and sequences in the base backup
 */
export function restoreLosses(facts: {
  readonly unloggedRelations: number;
  readonly prepared: readonly TransactionPrepared[];
  readonly passwords?: RestoredPasswords | undefined;
}): readonly string[] {
  const { unloggedRelations, prepared, passwords = "of then" } = facts;
  return [
    unloggedRelations === 0
      ? "Unlogged tables come back empty; the base backup has none"
      : `Unlogged tables come back empty: the base backup has ${unloggedRelations} unlogged tables, indexes and sequences`,
    "Replication slots are not in a backup: logical subscribers of the database need new ones",
    passwords === "of today"
      ? "Users and their rights are those of the moment: who was removed since is back, who was added is gone; passwords are today's"
      : "Roles, their passwords and rights are those of the moment: who was removed since is back, who was added is gone",
    ...(prepared.length === 0
      ? []
      : [`${prepared.length} prepared transactions come back open and hold their locks until they are ended`]),
    "The counters of pg_stat_* views begin at zero",
  ];
}

import type { TransactionPrepared } from "../postgres/wal/record.ts";

/**
 * What a recovered copy is without, or has although it was gone: sentences for people, true of every recovery of PostgreSQL. Pure.
 *
 * @param facts.unloggedRelations unlogged tables, indexes and sequences in the base backup
 */
export function restoreLosses(facts: {
  readonly unloggedRelations: number;
  readonly prepared: readonly TransactionPrepared[];
}): readonly string[] {
  const { unloggedRelations, prepared } = facts;
  return [
    unloggedRelations === 0
      ? "Unlogged tables come back empty; the base backup has none"
      : `Unlogged tables come back empty: the base backup has ${unloggedRelations} unlogged tables, indexes and sequences`,
    "Replication slots are not in a backup: logical subscribers of the database need new ones",
    "Roles, their passwords and rights are those of the moment: who was removed since is back, who was added is gone",
    ...(prepared.length === 0
      ? []
      : [`${prepared.length} prepared transactions come back open and hold their locks until they are ended`]),
    "The counters of pg_stat_* views begin at zero",
  ];
}

import { type Kysely, sql } from "kysely";

/** How many operations have ended how, since ever: rows of operations go, and processes come and go, but counters only grow. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`create table operation_totals (
    kind text not null,
    outcome text not null,
    operations bigint not null,
    seconds double precision not null,
    bytes bigint not null,
    primary key (kind, outcome)
  )`.execute(db);
}

import { type Kysely, sql } from "kysely";
import type { ControlSchema, OperationKind } from "./schema.ts";

/** Counts an operation that has ended, in the transaction that ends it. `outcome` is `done` or the code of the error. */
export async function countOperation(
  db: Kysely<ControlSchema>,
  ended: { kind: OperationKind; outcome: string; startedAt: Date | null; bytes: number },
): Promise<void> {
  await sql`insert into operation_totals (kind, outcome, operations, seconds, bytes)
    values (
      ${ended.kind}, ${ended.outcome}, 1,
      greatest(0, coalesce(extract(epoch from now() - ${ended.startedAt}::timestamptz), 0)), ${ended.bytes}
    )
    on conflict (kind, outcome) do update set
      operations = operation_totals.operations + 1,
      seconds = operation_totals.seconds + excluded.seconds,
      bytes = operation_totals.bytes + excluded.bytes`.execute(db);
}

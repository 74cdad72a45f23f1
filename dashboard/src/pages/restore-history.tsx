import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import type { PointInTimeOperation } from "../../generated/api.ts";
import { usePace } from "../api/live.tsx";
import { query, useCall } from "../api/queries.ts";
import { Badge, type Tone } from "../ui/badge.tsx";
import { Block } from "../ui/block.tsx";
import { Dialog } from "../ui/dialog.tsx";
import { Check } from "../ui/field.tsx";
import { Instant, instantText, useNow } from "../ui/instant.tsx";
import { Failure, Notice } from "../ui/notice.tsx";
import { durationText } from "../ui/size.ts";
import { type Column, Table } from "../ui/table.tsx";
import { isOpen, OperationError, OperationSteps } from "./operation-parts.tsx";

const BUSY_INTERVAL_MS = 500;
const IDLE_INTERVAL_MS = 5000;

const TONES: Readonly<Record<PointInTimeOperation["status"], Tone>> = {
  scheduled: "busy",
  running: "busy",
  done: "good",
  error: "bad",
};

/** The restores of a database: the one under way by its steps, the last one with its undo, and all of them. Nothing before the first. */
export function RestoreHistory({ addon }: { addon: string }) {
  const pace = usePace();
  const reply = useQuery({
    ...query("listDatabaseOperations", { path: { addon } }),
    refetchInterval: ({ state }) =>
      pace(state.data?.operations.some(isOpen) === true ? BUSY_INTERVAL_MS : IDLE_INTERVAL_MS),
  });
  const operations = reply.data?.operations ?? [];
  const [newest] = operations;
  if (newest === undefined) return <Failure error={reply.error} />;
  return (
    <Block title="Restores">
      {isOpen(newest) ? <UnderWay addon={addon} operation={newest} /> : <Outcome addon={addon} operation={newest} />}
      <Table label="Restores, newest first" columns={COLUMNS} rows={operations} keyOf={({ id }) => id} />
    </Block>
  );
}

const COLUMNS: readonly Column<PointInTimeOperation>[] = [
  { title: "Begun", cell: (operation) => <Instant at={operation.created_at} /> },
  { title: "What", cell: ({ type }) => (type === "pitr_undo" ? "undo" : "restore") },
  { title: "Status", cell: ({ status }) => <Badge tone={TONES[status]}>{status}</Badge> },
  {
    title: "To the change of",
    cell: ({ plan }) =>
      plan === null || plan.target.last_commit === null ? "" : instantText(Date.parse(plan.target.last_commit.time)),
  },
  { title: "Database away", cell: ({ downtime_ms: ms }) => (ms === null ? "" : durationText(ms)) },
];

function UnderWay({ addon, operation }: { addon: string; operation: PointInTimeOperation }) {
  const cancel = useCall("cancelDatabaseOperation");
  const canCancel = operation.type === "pitr_restore" && !["built", "swapping", "starting"].includes(operation.phase);
  return (
    <div className="stack" role="status">
      <OperationSteps operation={operation} />
      <Failure error={cancel.error} />
      {canCancel && (
        <div>
          <button
            type="button"
            className="button"
            disabled={cancel.isPending}
            onClick={() => cancel.mutate({ path: { addon, operation: operation.id } })}
          >
            Cancel the restore
          </button>
        </div>
      )}
    </div>
  );
}

function Outcome({ addon, operation }: { addon: string; operation: PointInTimeOperation }) {
  const now = useNow();
  if (operation.error !== null) return <OperationError operation={operation} />;
  const { undo_until: until, type, downtime_ms: awayMs } = operation;
  const canUndo = type === "pitr_restore" && until !== null && Date.parse(until) > now;
  return (
    <Notice tone="good">
      <p>
        <strong>{type === "pitr_undo" ? "The restore was undone." : "The database was restored."}</strong>{" "}
        {awayMs !== null && `It was away for ${durationText(awayMs)}.`}
      </p>
      {canUndo && <Undo addon={addon} until={until} />}
    </Notice>
  );
}

function Undo({ addon, until }: { addon: string; until: string }) {
  const [isAsking, setIsAsking] = useState(false);
  const [isSure, setIsSure] = useState(false);
  const undo = useCall("undoPointInTimeRestore", { onSuccess: () => setIsAsking(false) });
  return (
    <>
      <p className="row">
        <span>
          The data that it replaced is kept until <Instant at={until} />.
        </span>
        <button type="button" className="button" onClick={() => setIsAsking(true)}>
          Undo
        </button>
      </p>
      {isAsking && (
        <Dialog title="Undo the restore" onClose={() => setIsAsking(false)}>
          <p>
            The database goes back to the data from before the restore. What was written since stays restorable, as a
            branch of the recovery window.
          </p>
          <Check checked={isSure} onChange={setIsSure}>
            I understand that this replaces the database's current data
          </Check>
          <Failure error={undo.error} />
          <div className="dialog-actions">
            <button type="button" className="button" onClick={() => setIsAsking(false)}>
              Cancel
            </button>
            <button
              type="button"
              className="button danger primary"
              disabled={!isSure || undo.isPending}
              onClick={() => undo.mutate({ path: { addon } })}
            >
              Undo the restore
            </button>
          </div>
        </Dialog>
      )}
    </>
  );
}

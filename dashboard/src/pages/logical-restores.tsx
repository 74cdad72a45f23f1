import { useQuery } from "@tanstack/react-query";
import { useState } from "react";
import type { Backup, LogicalRestore } from "../../generated/api.ts";
import { usePace } from "../api/live.tsx";
import { query, useCall } from "../api/queries.ts";
import { Badge, type Tone } from "../ui/badge.tsx";
import { Block } from "../ui/block.tsx";
import { Dialog } from "../ui/dialog.tsx";
import { Check } from "../ui/field.tsx";
import { Instant, instantText } from "../ui/instant.tsx";
import { Loaded } from "../ui/loaded.tsx";
import { Failure, sentence } from "../ui/notice.tsx";
import { sizeText } from "../ui/size.ts";
import { type Column, Table } from "../ui/table.tsx";

const BUSY_INTERVAL_MS = 700;
const IDLE_INTERVAL_MS = 10_000;

/** Asks before a backup is put back into its database. */
export function RestoreBackupButton({ addon, backup }: { addon: string; backup: Backup }) {
  const [isAsking, setIsAsking] = useState(false);
  return (
    <>
      <button
        type="button"
        className="button compact"
        aria-label={`Restore ${backup.id}`}
        onClick={() => setIsAsking(true)}
      >
        Restore
      </button>
      {isAsking && <RestoreQuestion addon={addon} backup={backup} onClose={() => setIsAsking(false)} />}
    </>
  );
}

function RestoreQuestion(props: { addon: string; backup: Backup; onClose: () => void }) {
  const { addon, backup, onClose } = props;
  const [isSure, setIsSure] = useState(false);
  const restore = useCall("createLogicalRestore", { onSuccess: onClose });
  return (
    <Dialog title="Restore a backup" onClose={onClose}>
      <p>
        The tables and other objects of the backup of <strong>{instantText(Date.parse(backup.created_at))}</strong>{" "}
        replace those of the same name in the database. What the backup doesn't have stays as it is.
      </p>
      <Check checked={isSure} onChange={setIsSure}>
        I understand that this replaces what the database has now
      </Check>
      <Failure error={restore.error} />
      <div className="dialog-actions">
        <button type="button" className="button" onClick={onClose}>
          Cancel
        </button>
        <button
          type="button"
          className="button danger primary"
          disabled={!isSure || restore.isPending}
          onClick={() => restore.mutate({ path: { addon, backup: backup.id }, body: { restore: {} } })}
        >
          Restore
        </button>
      </div>
    </Dialog>
  );
}

const TONES: Readonly<Record<LogicalRestore["status"], Tone>> = {
  scheduled: "busy",
  running: "busy",
  done: "good",
  error: "bad",
};

const COLUMNS: readonly Column<LogicalRestore>[] = [
  { title: "Begun", cell: (restore) => <Instant at={restore.created_at} /> },
  { title: "Backup", cell: (restore) => <span className="mono small">{restore.backup_id}</span> },
  { title: "Status", cell: (restore) => <RestoreStatus restore={restore} /> },
  {
    title: "Objects",
    cell: ({ counts }) =>
      counts === null ? "" : `${counts.restored} restored, ${counts.failed} failed, ${counts.kept} kept as they were`,
  },
];

/** The restores of this database's backups; nothing before the first. */
export function LogicalRestoresBlock({ addon }: { addon: string }) {
  const pace = usePace();
  const reply = useQuery({
    ...query("listLogicalRestores", { path: { addon } }),
    refetchInterval: ({ state }) =>
      pace(state.data?.logical_restores.some(isOpen) === true ? BUSY_INTERVAL_MS : IDLE_INTERVAL_MS),
  });
  const restores = reply.data?.logical_restores ?? [];
  if (restores.length === 0) return null;
  return (
    <Block title="Restores of backups" flush>
      <Table
        label="Restores of backups, newest first"
        columns={COLUMNS}
        rows={restores}
        keyOf={({ id }) => id}
        detail={(restore) =>
          restore.error === null && leftOut(restore) === 0 ? null : <RestoreOutcome restore={restore} />
        }
      />
    </Block>
  );
}

/** The state in a word; while it is under way how far it has come. */
function RestoreStatus({ restore }: { restore: LogicalRestore }) {
  const { id, status, progress_bytes: done, total_bytes: total } = restore;
  const cancel = useCall("cancelLogicalRestore");
  if (!isOpen(restore)) return <Badge tone={TONES[status]}>{status}</Badge>;
  return (
    <div className="progress" role="status">
      <Badge tone="busy">{status}</Badge>
      <div className="bar" />
      <span className="muted small">
        {sizeText(done)} {total !== null && `of ${sizeText(total)} `}read
      </span>
      <button
        type="button"
        className="button compact"
        disabled={cancel.isPending}
        onClick={() => cancel.mutate({ path: { restore: id } })}
      >
        Cancel the restore
      </button>
      <Failure error={cancel.error} />
    </div>
  );
}

/** Why it failed and what to do, and each object that the database doesn't have as the backup has it. */
function RestoreOutcome({ restore }: { restore: LogicalRestore }) {
  const { error } = restore;
  const [isListed, setIsListed] = useState(false);
  return (
    <div className="stack">
      {error !== null && (
        <div className="notice bad">
          <p>
            <strong>{sentence(error.message)}</strong>
          </p>
          {error.hint !== null && <p>{sentence(error.hint)}</p>}
        </div>
      )}
      {leftOut(restore) > 0 && (
        <details onToggle={(event) => setIsListed(event.currentTarget.open)}>
          <summary>Objects that were not restored</summary>
          {isListed && <LeftOutObjects restore={restore.id} />}
        </details>
      )}
    </div>
  );
}

function LeftOutObjects({ restore }: { restore: string }) {
  const reply = useQuery(query("showLogicalRestore", { path: { restore } }));
  return (
    <Loaded from={reply}>
      {({ logical_restore: { objects } }) => (
        <ul className="report small">
          {(objects ?? [])
            .filter(({ outcome }) => outcome !== "restored")
            .map(({ object, outcome, reason }, index) => (
              // The list never changes, and names in it may repeat.
              <li key={index}>
                <strong>{object}</strong> <span className="muted">{outcome}</span>
                {reason !== null && <div>{reason}</div>}
              </li>
            ))}
        </ul>
      )}
    </Loaded>
  );
}

function leftOut({ counts }: LogicalRestore): number {
  return counts === null ? 0 : counts.failed + counts.kept + counts.unknown;
}

function isOpen({ status }: LogicalRestore): boolean {
  return status === "scheduled" || status === "running";
}

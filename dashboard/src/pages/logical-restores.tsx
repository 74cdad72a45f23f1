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
import { Failure } from "../ui/notice.tsx";
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
  { title: "Status", cell: ({ status }) => <Badge tone={TONES[status]}>{status}</Badge> },
  { title: "Read", kind: "number", cell: (restore) => sizeText(restore.progress_bytes) },
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
        detail={({ error }) =>
          error === null ? null : (
            <div className="notice bad">
              <p>
                <strong>{error.message}</strong>
              </p>
              {error.hint !== null && <p>{error.hint}</p>}
            </div>
          )
        }
      />
    </Block>
  );
}

function isOpen({ status }: LogicalRestore): boolean {
  return status === "scheduled" || status === "running";
}

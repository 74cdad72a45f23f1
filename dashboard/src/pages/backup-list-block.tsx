import { useQuery } from "@tanstack/react-query";
import type { Backup } from "../../generated/api.ts";
import { usePace } from "../api/live.tsx";
import { query, useCall } from "../api/queries.ts";
import { Block, Empty } from "../ui/block.tsx";
import { Loaded } from "../ui/loaded.tsx";
import { Failure } from "../ui/notice.tsx";
import { BackupCharts } from "./backup-charts.tsx";
import { Instant } from "../ui/instant.tsx";
import { sizeText } from "../ui/size.ts";
import { type Column, Table } from "../ui/table.tsx";
import { BackupActions } from "./backup-actions.tsx";
import { BackupError, BackupKept, BackupStatus, isOpen } from "./backup-parts.tsx";

/** While a backup runs its progress is followed; otherwise the list is looked at now and then. */
const BUSY_INTERVAL_MS = 700;
const IDLE_INTERVAL_MS = 10_000;

export function BackupListBlock({ addon }: { addon: string }) {
  const pace = usePace();
  const backups = useQuery({
    ...query("listBackups", { path: { addon } }),
    refetchInterval: (current) =>
      pace(current.state.data?.database_backups.some(isOpen) === true ? BUSY_INTERVAL_MS : IDLE_INTERVAL_MS),
  });
  const create = useCall("createBackup");
  const trigger = (
    <button
      type="button"
      className="button primary"
      disabled={create.isPending}
      onClick={() => create.mutate({ path: { addon } })}
    >
      Trigger manual backup
    </button>
  );
  return (
    <>
      <Block title="Backups" actions={trigger} flush>
        {create.error !== null && (
          <div className="block-body">
            <Failure error={create.error} />
          </div>
        )}
        <Loaded from={backups}>
          {(reply) =>
            reply.database_backups.length === 0 ? (
              <Empty title="No backup yet">
                The first scheduled one comes tonight. Trigger one now to see it through, download it, and know that it
                opens.
              </Empty>
            ) : (
              <BackupTable addon={addon} backups={reply.database_backups} />
            )
          }
        </Loaded>
      </Block>
      <BackupCharts backups={backups.data?.database_backups ?? []} />
    </>
  );
}

function BackupTable({ addon, backups }: { addon: string; backups: readonly Backup[] }) {
  const columns: readonly Column<Backup>[] = [
    {
      title: "Created",
      cell: (backup) => (
        <>
          <Instant at={backup.created_at} />
          <div className="muted mono small">{backup.id}</div>
        </>
      ),
    },
    { title: "Status", cell: (backup) => <BackupStatus backup={backup} /> },
    { title: "Size", kind: "number", cell: ({ size }) => (size === null ? "" : sizeText(size)) },
    { title: "Method", cell: ({ method }) => method },
    { title: "Kept", kind: "prose", cell: (backup) => <BackupKept backup={backup} /> },
    { title: "Actions", kind: "actions", cell: (backup) => <BackupActions addon={addon} backup={backup} /> },
  ];
  return (
    <Table
      label="Backups, newest first"
      columns={columns}
      rows={backups}
      keyOf={({ id }) => id}
      detail={({ error }) => (error === null ? null : <BackupError error={error} />)}
    />
  );
}

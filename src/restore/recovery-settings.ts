import { type Lsn, type TimelineId, formatLsn } from "../core/lsn.ts";
import type { StandbyMinimums } from "../postgres/wal/record.ts";

/**
 * Replay changes pages all over a database: what doesn't fit is written and read again and again. Twice as much makes it a third faster, measured with
 * 2 GB of log over 5 GB; the original's own setting may be more than this machine has.
 */
export const COPY_SHARED_BUFFERS_BYTES = 256 * 1024 * 1024;
const BYTES_PER_KB = 1024;

export interface RecoverySettings {
  /** Private: holds the socket and the files below. */
  readonly runFolder: string;
  readonly port: number;
  readonly restoreCommand: string;
  /** Undefined for a cluster that was stopped: it is opened at the end of its own log. */
  readonly targetLsn: Lsn | undefined;
  readonly timeline: TimelineId;
  readonly minimums: StandbyMinimums;
}

/**
 * The command line's settings for a recovering copy, in order. They are never written into a file of the data folder, where a later base backup would
 * carry them; and being on the command line they win over a postgresql.auto.conf that came with the backup.
 */
export function recoverySettings(settings: RecoverySettings): readonly (readonly [name: string, value: string])[] {
  const { runFolder, minimums } = settings;
  return [
    ["config_file", `${runFolder}/postgresql.conf`],
    ["hba_file", `${runFolder}/pg_hba.conf`],
    ["ident_file", `${runFolder}/pg_ident.conf`],
    ["unix_socket_directories", runFolder],
    ["unix_socket_permissions", "0700"],
    ["port", String(settings.port)],
    ...ISOLATION,
    ["shared_buffers", `${COPY_SHARED_BUFFERS_BYTES / BYTES_PER_KB}kB`],
    ["max_connections", String(minimums.maxConnections)],
    ["max_worker_processes", String(minimums.maxWorkerProcesses)],
    ["max_wal_senders", String(minimums.maxWalSenders)],
    ["max_prepared_transactions", String(minimums.maxPreparedTransactions)],
    ["max_locks_per_transaction", String(minimums.maxLocksPerTransaction)],
    // Without it a promoted copy forgets when its transactions were committed.
    ["track_commit_timestamp", "on"],
    ["hot_standby", "on"],
    ["restore_command", settings.restoreCommand],
    ["recovery_target_timeline", String(settings.timeline)],
    ["recovery_target_action", "pause"],
    ["recovery_target_inclusive", "on"],
    // Two kinds of target at once end the server, and the backup's own settings may hold one.
    ["recovery_target", ""],
    ["recovery_target_name", ""],
    ["recovery_target_time", ""],
    ["recovery_target_xid", ""],
    ["recovery_target_lsn", settings.targetLsn === undefined ? "" : formatLsn(settings.targetLsn)],
  ];
}

/** What keeps a copy from reaching, or being reached by, anything that belongs to the original. */
const ISOLATION: readonly (readonly [name: string, value: string])[] = [
  ["listen_addresses", ""],
  ["archive_mode", "off"],
  ["archive_command", ""],
  ["archive_library", ""],
  ["archive_cleanup_command", ""],
  ["recovery_end_command", ""],
  ["recovery_min_apply_delay", "0"],
  ["primary_conninfo", ""],
  ["primary_slot_name", ""],
  ["synchronous_standby_names", ""],
  ["max_logical_replication_workers", "0"],
  ["shared_preload_libraries", ""],
  ["session_preload_libraries", ""],
  ["local_preload_libraries", ""],
  ["ssl", "off"],
  ["external_pid_file", ""],
  ["logging_collector", "off"],
  ["log_destination", "stderr"],
  ["autovacuum", "off"],
  ["huge_pages", "off"],
  ["restart_after_crash", "off"],
  ["fsync", "on"],
];

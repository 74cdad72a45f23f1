/**
 * What gives way when backups stall for long: `database` lets the server drop log that isn't stored yet, which leaves a hole in the recovery
 * window; `chain` keeps it, until the disk is full and the server stops.
 */
export type WalProtection = "database" | "chain";

/** What a managed server's settings follow from. */
export interface SettingsFacts {
  /** Of the plan. */
  readonly memoryBytes: number;
  /** Free now on the disk that holds the data. */
  readonly freeDiskBytes: number;
  readonly major: number;
  readonly walProtection: WalProtection;
  /** The best that the installation was built with. */
  readonly walCompression: "lz4" | "pglz";
}

const KIB = 1024;
const MIB = 1024 * KIB;
const GIB = 1024 * MIB;

/**
 * A copy under recovery refuses to start when one of these is smaller than on the server it came from, so they are
 * equal in all plans and only ever grow (https://www.postgresql.org/docs/current/hot-standby.html#HOT-STANDBY-ADMIN).
 */
const EQUAL_IN_ALL_PLANS = {
  max_connections: "120",
  max_worker_processes: "8",
  max_wal_senders: "10",
  max_replication_slots: "10",
  // A few, for applications with distributed transactions; one forgotten holds back vacuum, so not many.
  max_prepared_transactions: "10",
  max_locks_per_transaction: "64",
} as const;

/**
 * WAL that a stalled backup may pin: a fifth of what is free, so that several databases on the disk can stall at once
 * and still write.
 */
const SLOT_SHARE_OF_FREE_DISK = 0.2;
const SLOT_BYTES_MIN = GIB;
const SLOT_BYTES_MAX = 64 * GIB;

/** Settings of a managed server, values as postgresql.conf takes them. Pure. */
export function serverSettings(facts: SettingsFacts): Record<string, string> {
  return { ...EQUAL_IN_ALL_PLANS, ...memorySettings(facts.memoryBytes), ...continuousBackupSettings(facts) };
}

function memorySettings(memoryBytes: number): Record<string, string> {
  return {
    shared_buffers: inKib(memoryBytes / 4),
    effective_cache_size: inKib((memoryBytes * 3) / 4),
    // A query may use it several times over, and many run at once.
    work_mem: inKib(clamp(memoryBytes / 128, { min: 2 * MIB, max: 64 * MIB })),
    maintenance_work_mem: inKib(clamp(memoryBytes / 16, { min: 16 * MIB, max: GIB })),
    superuser_reserved_connections: "5",
  };
}

function continuousBackupSettings({
  freeDiskBytes,
  major,
  walCompression,
  walProtection,
}: SettingsFacts): Record<string, string> {
  const slotBytes = clamp(freeDiskBytes * SLOT_SHARE_OF_FREE_DISK, { min: SLOT_BYTES_MIN, max: SLOT_BYTES_MAX });
  return {
    wal_level: "replica",
    archive_mode: "off",
    full_page_writes: "on",
    wal_compression: walCompression,
    // Dates of commits, from which "last change before the accident" is read.
    track_commit_timestamp: "on",
    restart_after_crash: "on",
    max_slot_wal_keep_size: walProtection === "chain" ? "-1" : `${Math.floor(slotBytes / MIB)}MB`,
    ...(major >= 17 ? { summarize_wal: "on" } : {}),
    // A slot waits for its backup however long that is away; the size above is its limit.
    ...(major >= 18 ? { idle_replication_slot_timeout: "0" } : {}),
  };
}

function inKib(bytes: number): string {
  return `${Math.floor(bytes / KIB)}kB`;
}

function clamp(value: number, { min, max }: { readonly min: number; readonly max: number }): number {
  return Math.min(max, Math.max(min, value));
}

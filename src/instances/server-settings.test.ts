import assert from "node:assert/strict";
import { test } from "node:test";
import { type SettingsFacts, serverSettings } from "./server-settings.ts";

const MIB = 1024 * 1024;
const GIB = 1024 * MIB;
const starter: SettingsFacts = {
  memoryBytes: 512 * MIB,
  freeDiskBytes: 100 * GIB,
  major: 15,
  walCompression: "lz4",
  walProtection: "database",
};

test("serverSettings() divides the plan's memory", () => {
  const settings = serverSettings(starter);
  assert.equal(settings.shared_buffers, `${128 * 1024}kB`);
  assert.equal(settings.effective_cache_size, `${384 * 1024}kB`);
  assert.equal(settings.work_mem, "4096kB");
  assert.equal(settings.maintenance_work_mem, `${32 * 1024}kB`);
});

test("serverSettings() keeps the parts of a tiny and of a huge plan in bounds", () => {
  const tiny = serverSettings({ ...starter, memoryBytes: 64 * MIB });
  assert.deepEqual([tiny.work_mem, tiny.maintenance_work_mem], ["2048kB", "16384kB"]);
  const huge = serverSettings({ ...starter, memoryBytes: 256 * GIB });
  assert.deepEqual([huge.work_mem, huge.maintenance_work_mem], ["65536kB", `${MIB}kB`]);
});

test("serverSettings() gives what a copy under recovery compares the same in all plans", () => {
  const compared = [
    "max_connections",
    "max_worker_processes",
    "max_wal_senders",
    "max_prepared_transactions",
    "max_locks_per_transaction",
  ];
  const small = serverSettings(starter);
  const large = serverSettings({ ...starter, memoryBytes: 64 * GIB });
  for (const name of compared) {
    assert.ok(Number(small[name]) > 0, name);
    assert.equal(small[name], large[name], name);
  }
});

test("serverSettings() bounds the WAL that a stalled backup may pin by the free disk", () => {
  const kept = (freeDiskBytes: number): string | undefined =>
    serverSettings({ ...starter, freeDiskBytes }).max_slot_wal_keep_size;
  assert.equal(kept(100 * GIB), "20480MB");
  assert.equal(kept(0), "1024MB");
  assert.equal(kept(10_000 * GIB), `${64 * 1024}MB`);
});

test("serverSettings() sets what only newer majors know only there", () => {
  const named = (major: number): string[] =>
    ["summarize_wal", "idle_replication_slot_timeout"].filter((name) => name in serverSettings({ ...starter, major }));
  assert.deepEqual(
    [named(15), named(16), named(17), named(18)],
    [[], [], ["summarize_wal"], ["summarize_wal", "idle_replication_slot_timeout"]],
  );
});

test("serverSettings() prepares for continuous backups", () => {
  const settings = serverSettings({ ...starter, walCompression: "pglz" });
  assert.equal(settings.wal_level, "replica");
  assert.equal(settings.archive_mode, "off");
  assert.equal(settings.full_page_writes, "on");
  assert.equal(settings.wal_compression, "pglz");
  assert.ok(Number(settings.max_wal_senders) >= 10 && Number(settings.max_replication_slots) >= 10);
});

test("serverSettings() lets a stalled backup pin any amount of WAL where the chain is protected", () => {
  assert.equal(serverSettings({ ...starter, walProtection: "chain" }).max_slot_wal_keep_size, "-1");
});

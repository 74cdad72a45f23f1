import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { captureBaseBackup } from "../../src/capture/base-backup.ts";
import { systemClock } from "../../src/core/clock.ts";
import { newObjectId } from "../../src/core/ids.ts";
import { parseLsn, segmentName, toTimelineId } from "../../src/core/lsn.ts";
import { parseTimelineHistory } from "../../src/postgres/timeline-history.ts";
import { readHistory } from "../../src/repository/wal-archive.ts";
import { storedUntil } from "../../src/repository/wal-inventory.ts";
import { makePhysicalArchive } from "../harness/physical-archive.ts";
import { makeServerFolder, runProgram, startPostgresServer } from "../harness/postgres-server.ts";
import { makeTempFolder } from "../harness/temp-folder.ts";
import {
  APPLICATION,
  compareWithServer,
  eventually,
  inventoryOf,
  receiveWal,
  until,
  untilStored,
} from "../harness/wal-scene.ts";

test("a standby that is promoted while it streams is followed onto its new timeline, without a new connection", async (t) => {
  const primary = await startPostgresServer(t, { segmentSizeMb: 1 });
  await primary.query("create table item (id bigint generated always as identity, body text)");
  const dataFolder = join(await makeTempFolder(t), "standby");
  await makeServerFolder(join(dataFolder, ".."));
  await runProgram("pg_basebackup", ["-h", primary.folder, "-U", "postgres", "-D", dataFolder, "-c", "fast", "-R"]);
  const standby = await startPostgresServer(t, { dataFolder, settings: { wal_keep_size: "1GB" } });
  const archive = await makePhysicalArchive(t);
  const { receiver, incidents } = await receiveWal(t, standby, archive);
  await until(receiver, ({ state }) => state === "streaming");
  await primary.query("insert into item (body) select repeat(md5(n::text), 10) from generate_series(1, 2000) n");
  const written = parseLsn(await primary.value("select pg_current_wal_flush_lsn()"));
  await until(receiver, ({ durable }) => durable !== undefined && durable.lsn >= written);

  const { lineage, systemId } = receiver.status;
  assert.ok(lineage !== undefined && systemId !== undefined);
  const backup = await captureBaseBackup(
    archive,
    {
      backupId: newObjectId(new Date()),
      lineage,
      systemId,
      label: "of a standby",
      checkpoint: "fast",
      target: { client: standby.client(), applicationName: APPLICATION },
      clock: systemClock,
      waitForWal: (range, signal) => receiver.waitForRange(range, signal),
    },
    t.signal,
  );
  assert.equal(backup.timeline, 1);

  await standby.query("select pg_promote()");
  await eventually("it is promoted", async () => (await standby.value("select pg_is_in_recovery()")) === "false");
  await standby.query("insert into item (body) select repeat(md5(n::text), 10) from generate_series(1, 2000) n");
  await until(receiver, ({ durable }) => durable?.timeline === 2);
  const end = await untilStored(receiver, standby);
  await receiver.close();
  assert.deepEqual(incidents, []);

  const inventory = await inventoryOf(archive, lineage);
  const [history] = inventory.histories;
  assert.ok(history !== undefined && history.timeline === 2);
  const [left] = parseTimelineHistory(await readHistory(archive, history));
  assert.ok(left !== undefined);
  const second = toTimelineId(2);
  assert.ok(storedUntil(inventory, toTimelineId(1), parseLsn(backup.startLsn)) >= left.end);
  assert.ok(storedUntil(inventory, second, left.end) >= end);
  const first = inventory.segments.get(segmentName(second, left.end, inventory.segmentSize));
  assert.ok(first?.pieces.some(({ from }) => from === 0));
  for (const [name, digest] of await compareWithServer(archive, inventory, standby))
    if (name.startsWith("00000002")) assert.equal(digest.stored, digest.server, name);
});

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { after, test } from "node:test";
import { isErrorCode } from "../../src/core/errors.ts";
import {
  type Lsn,
  LSN_ZERO,
  advanceLsn,
  formatLsn,
  parseLsn,
  segmentName,
  segmentStart,
  toTimelineId,
} from "../../src/core/lsn.ts";
import { type BaseBackupEvent, baseBackup } from "../../src/postgres/replication/base-backup.ts";
import {
  createPhysicalSlot,
  dropSlot,
  identifySystem,
  readPhysicalSlot,
  readTimelineHistory,
  showServerVersion,
  showWalSegmentSize,
  showWalSenderTimeoutMs,
} from "../../src/postgres/replication/commands.ts";
import {
  type ReplicationConnection,
  openReplicationConnection,
} from "../../src/postgres/replication/replication-connection.ts";
import { sqlStateOf } from "../../src/postgres/replication/replication-error.ts";
import { type WalStreamEnd, startWalStream } from "../../src/postgres/replication/wal-stream.ts";
import { startPostgresServer } from "../harness/postgres-server.ts";

const server = await startPostgresServer({ after }, { tcp: true, settings: { wal_sender_timeout: "45s" } });
await server.query("create table item (id bigint primary key, body text)");
await server.query("insert into item select n, repeat(md5(n::text), 20) from generate_series(1, 20000) n");

async function connect(walSenderTimeoutMs?: number): Promise<ReplicationConnection> {
  const connection = await openReplicationConnection({
    client: server.client(),
    applicationName: "tidemark_test",
    ...(walSenderTimeoutMs === undefined ? {} : { walSenderTimeoutMs }),
  });
  after(() => connection.close());
  return connection;
}

test("identifySystem() and the settings tell what SQL tells", async () => {
  const connection = await connect();
  const identity = await identifySystem(connection);
  assert.equal(identity.systemId, await server.value("select system_identifier::text from pg_control_system()"));
  assert.equal(identity.timeline, 1);
  assert.ok(identity.flushed > LSN_ZERO);
  assert.equal(await showWalSegmentSize(connection), 16 * 1024 * 1024);
  assert.equal(await showWalSenderTimeoutMs(connection), 45_000);
  assert.equal(await showServerVersion(connection), Number(await server.value("show server_version_num")));
});

test("openReplicationConnection() sets its own wal_sender_timeout when asked", async () => {
  assert.equal(await showWalSenderTimeoutMs(await connect(10_000)), 10_000);
});

test("createPhysicalSlot() reserves WAL at once, and a second one of the name is refused", async () => {
  const connection = await connect();
  assert.equal(await readPhysicalSlot(connection, "first_slot"), undefined);
  await createPhysicalSlot(connection, "first_slot");
  const slot = await readPhysicalSlot(connection, "first_slot");
  assert.equal(slot?.restart?.timeline, 1);
  await assert.rejects(createPhysicalSlot(connection, "first_slot"), (error) => sqlStateOf(error) === "42710");
  await dropSlot(connection, "first_slot");
  await assert.rejects(dropSlot(connection, "first_slot"), (error) => sqlStateOf(error) === "42704");
  await assert.rejects(createPhysicalSlot(connection, "bad name; drop"), { code: "bad_request" });
});

test("openReplicationConnection() says which kind of failure it met", async () => {
  const target = { applicationName: "tidemark_test" };
  await server.query("create role no_replication login password 'right'");
  await server.query("create role replicator login replication password 'right'");
  const tcp = { host: "127.0.0.1" };
  const connectAs = (user: string, password: string): Promise<ReplicationConnection> =>
    openReplicationConnection({ ...target, client: server.client({ ...tcp, user, password }) });
  const denied = (error: unknown): boolean => isErrorCode(error, "server_denied");
  await assert.rejects(connectAs("replicator", "wrong"), denied);
  await assert.rejects(connectAs("no_replication", "right"), denied);
  await (await connectAs("replicator", "right")).close();
  await assert.rejects(
    openReplicationConnection({ ...target, client: server.client({ host: server.folder, port: 1 }) }),
    { code: "server_unreachable" },
  );
  await assert.rejects(
    openReplicationConnection({ ...target, client: server.client() }, AbortSignal.abort(new Error("enough"))),
    /enough/,
  );
});

test("baseBackup() gives both positions, every archive and the manifest, also to a slow reader", async () => {
  const connection = await connect();
  const kinds: string[] = [];
  let dataBytes = 0;
  let manifest = "";
  let last: BaseBackupEvent | undefined;
  for await (const event of baseBackup(connection, { label: "it's a test", checkpoint: "fast" })) {
    if (event.kind === "data") {
      dataBytes += event.bytes.length;
      if (kinds.at(-1) === "manifest") manifest += event.bytes.toString("utf8");
      await new Promise((resolve) => setImmediate(resolve));
    } else if (event.kind !== "progress") kinds.push(event.kind);
    if (event.kind === "start") assert.ok(event.estimatedBytes > 20_000_000);
    last = event;
  }
  assert.deepEqual(kinds, ["start", "archive", "manifest", "end"]);
  assert.ok(dataBytes > 20_000_000);
  assert.equal(last?.kind, "end");
  assert.match(manifest, /^\{ "PostgreSQL-Backup-Manifest-Version": 1/);
  // The manifest's last line is the SHA-256 of all before it: the bytes are right, not only their number.
  const position = manifest.indexOf('"Manifest-Checksum"');
  const digest = createHash("sha256").update(manifest.slice(0, position)).digest("hex");
  assert.equal(manifest.slice(position), `"Manifest-Checksum": "${digest}"}\n`);
  assert.equal((await identifySystem(connection)).timeline, 1);
});

test("startWalStream() delivers WAL byte by byte as pg_wal has it, and ends when asked", async () => {
  const connection = await connect();
  await server.query("insert into item select n, repeat(md5(n::text), 20) from generate_series(20001, 22000) n");
  const end = parseLsn(await server.value("select pg_current_wal_flush_lsn()"));
  const segmentSize = await showWalSegmentSize(connection);
  const start = segmentStart(end, segmentSize);
  await createPhysicalSlot(connection, "stream_slot");
  let received = start;
  const hash = createHash("sha256");
  const whole = Promise.withResolvers<void>();
  const stream = startWalStream(
    connection,
    { slotName: "stream_slot", start, timeline: toTimelineId(1) },
    {
      started: () => undefined,
      wal: (at, bytes) => {
        assert.equal(at, received);
        const wanted = bytes.subarray(0, Math.max(0, Number(end - at)));
        hash.update(wanted);
        received = advanceLsn(received, bytes.length);
        if (received >= end) whole.resolve();
      },
      keepalive: () => undefined,
    },
  );
  await whole.promise;
  stream.sendStatus({ written: received, flushed: end, now: new Date(), replyRequested: false });
  stream.finish();
  assert.deepEqual(await stream.ended, { kind: "finished" } satisfies WalStreamEnd);

  const slot = await readPhysicalSlot(connection, "stream_slot");
  assert.equal(formatLsn(slot?.restart?.lsn ?? LSN_ZERO), formatLsn(end));
  const expected = await server.query<{ digest: string }>(
    "select encode(sha256(pg_read_binary_file('pg_wal/' || $1, 0, $2)), 'hex') as digest",
    [segmentName(toTimelineId(1), start, segmentSize), Number(end - start)],
  );
  assert.equal(hash.digest("hex"), expected[0]?.digest);
  await dropSlot(connection, "stream_slot");
});

test("startWalStream() reports WAL that the server has removed, and the connection goes on", async () => {
  const connection = await connect();
  await createPhysicalSlot(connection, "late_slot");
  await server.query("select pg_switch_wal()");
  await server.query("checkpoint");
  const stream = startWalStream(
    connection,
    { slotName: "late_slot", start: parseLsn("0/100000") satisfies Lsn, timeline: toTimelineId(1) },
    { started: () => undefined, wal: () => undefined, keepalive: () => undefined },
  );
  await assert.rejects(stream.ended, { code: "wal_removed" });
  assert.equal((await identifySystem(connection)).timeline, 1);
  await dropSlot(connection, "late_slot");
});

test("readTimelineHistory() and a stream's end tell the switch of a promoted server", async () => {
  const promoted = await startPostgresServer({ after });
  await promoted.stop();
  await promoted.promoteToNewTimeline();
  const connection = await openReplicationConnection({ client: promoted.client(), applicationName: "tidemark_test" });
  after(() => connection.close());
  const identity = await identifySystem(connection);
  assert.equal(identity.timeline, 2);
  const history = await readTimelineHistory(connection, identity.timeline);
  assert.equal(history.fileName, "00000002.history");
  assert.match(history.content, /^1\t0\/[0-9A-F]+\t/);
  await createPhysicalSlot(connection, "old_timeline");
  const start = segmentStart(identity.flushed, await showWalSegmentSize(connection));
  const stream = startWalStream(
    connection,
    { slotName: "old_timeline", start, timeline: toTimelineId(1) },
    { started: () => undefined, wal: () => undefined, keepalive: () => undefined },
  );
  const end = await stream.ended;
  assert.equal(end.kind, "timelineEnd");
  if (end.kind === "timelineEnd") {
    assert.equal(end.nextTimeline, 2);
    assert.equal(formatLsn(end.nextStart), history.content.split("\t")[1]);
  }
  assert.equal((await identifySystem(connection)).timeline, 2);
});

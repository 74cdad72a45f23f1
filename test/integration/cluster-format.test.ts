import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, test } from "node:test";
import * as fc from "fast-check";
import { type TarEntry, TarSplitter } from "../../src/postgres/tar-splitter.ts";
import { formatLsn, parseLsn } from "../../src/core/lsn.ts";
import { BackupManifestReader, type ManifestFile, manifestCrc } from "../../src/postgres/backup-manifest.ts";
import { parseControlFile } from "../../src/postgres/control-file.ts";
import { crc32c } from "../../src/postgres/crc32c.ts";
import { PAGE_BYTES, firstPageOf, isPageRight, pageChecksum } from "../../src/postgres/page-checksum.ts";
import { baseBackup } from "../../src/postgres/replication/base-backup.ts";
import { openReplicationConnection } from "../../src/postgres/replication/replication-connection.ts";
import { runProgram, startPostgresServer } from "../harness/postgres-server.ts";

interface WholeFile {
  readonly entry: TarEntry;
  readonly bytes: Buffer;
}

const LAST_LSN = parseLsn("FFFFFFFF/FFFFFFFF");
const server = await startPostgresServer({ after });
await server.query("create table item (id bigint primary key, body text)");
await server.query("insert into item select n, repeat(md5(n::text), 20) from generate_series(1, 5000) n");
await server.query("vacuum item");
const backup = await takeBackup();

async function takeBackup(): Promise<{ readonly tar: Buffer; readonly manifest: Buffer }> {
  const connection = await openReplicationConnection({ client: server.client(), applicationName: "tidemark_test" });
  const parts: Record<string, Buffer[]> = { archive: [], manifest: [] };
  let current = "archive";
  for await (const event of baseBackup(connection, { label: "test", checkpoint: "fast" })) {
    if (event.kind === "data") parts[current]?.push(Buffer.from(event.bytes));
    else if (event.kind === "archive" || event.kind === "manifest") current = event.kind;
  }
  await connection.close();
  return { tar: Buffer.concat(parts["archive"] ?? []), manifest: Buffer.concat(parts["manifest"] ?? []) };
}

function splitTar(tar: Buffer, cuts: readonly number[] = []): WholeFile[] {
  const files: WholeFile[] = [];
  let entry: TarEntry | undefined;
  let parts: Buffer[] = [];
  const splitter = new TarSplitter({
    entry: (next) => {
      entry = next;
      parts = [];
    },
    data: (bytes) => void parts.push(Buffer.from(bytes)),
    end: () => {
      if (entry !== undefined) files.push({ entry, bytes: Buffer.concat(parts) });
    },
  });
  let from = 0;
  for (const cut of cuts) {
    splitter.push(tar.subarray(from, from + cut));
    from += cut;
  }
  splitter.push(tar.subarray(from));
  splitter.finish();
  return files;
}

function readManifest(bytes: Buffer, pieceBytes: number): { files: ManifestFile[]; reader: BackupManifestReader } {
  const files: ManifestFile[] = [];
  const reader = new BackupManifestReader((file) => void files.push(file));
  for (let at = 0; at < bytes.length; at += pieceBytes) reader.push(bytes.subarray(at, at + pieceBytes));
  return { files, reader };
}

test("TarSplitter and BackupManifestReader agree on every file's path, size and CRC-32C", () => {
  const stored = splitTar(backup.tar)
    .filter(({ entry }) => entry.type === "file")
    .map(({ entry, bytes }) => `${entry.path.toString("latin1")} ${bytes.length} ${manifestCrc(crc32c(bytes))}`);
  const { files, reader } = readManifest(backup.manifest, 1000);
  assert.equal(reader.finish().fileCount, files.length);
  assert.ok(files.length > 900);
  assert.deepEqual(
    stored.sort(),
    files.map((file) => `${file.path.toString("latin1")} ${file.sizeBytes} ${file.crc32c}`).sort(),
  );
});

test("TarSplitter gives the same entries however the bytes are cut", () => {
  const tar = backup.tar.subarray(0, 300_000);
  const sizes = (cuts: readonly number[]): string[] => {
    const seen: string[] = [];
    const splitter = new TarSplitter({
      entry: ({ path, sizeBytes }) => void seen.push(`${path.toString("latin1")} ${sizeBytes}`),
      data: () => undefined,
      end: () => void seen.push("end"),
    });
    let from = 0;
    for (const cut of [...cuts, tar.length]) {
      splitter.push(tar.subarray(from, from + cut));
      from += cut;
    }
    return seen;
  };
  const whole = sizes([]);
  assert.ok(whole.length > 20);
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 5000 }), { maxLength: 200 }), (cuts) => {
      assert.deepEqual(sizes(cuts), whole);
    }),
  );
});

test("TarSplitter refuses a damaged header and a cut archive", () => {
  const damaged = Buffer.from(backup.tar);
  damaged[10] = (damaged[10] ?? 0) ^ 1;
  assert.throws(() => splitTar(damaged), { code: "base_backup_failed" });
  assert.throws(() => splitTar(backup.tar.subarray(0, 600)), { code: "base_backup_failed" });
});

test("BackupManifestReader reads the same in pieces of any size, and its range of WAL", () => {
  const whole = readManifest(backup.manifest, backup.manifest.length);
  const range = whole.reader.finish().walRanges[0];
  assert.equal(range?.timeline, 1);
  for (const pieceBytes of [1, 7, 4096]) {
    const cut = readManifest(backup.manifest, pieceBytes);
    assert.deepEqual(cut.files, whole.files);
    assert.deepEqual(cut.reader.finish(), whole.reader.finish());
  }
});

test("BackupManifestReader refuses a changed, a cut and an extended manifest", () => {
  const changed = Buffer.from(backup.manifest.toString("latin1").replace('"Size": 3', '"Size": 4'), "latin1");
  assert.throws(() => readManifest(changed, 5000).reader.finish(), { code: "object_corrupt" });
  assert.throws(() => readManifest(backup.manifest.subarray(0, -200), 5000).reader.finish(), {
    code: "object_corrupt",
  });
  const extended = Buffer.concat([backup.manifest, Buffer.from("more\n")]);
  assert.throws(() => readManifest(extended, 5000).reader.finish(), { code: "object_corrupt" });
});

test("BackupManifestReader keeps all digits of a system identifier, and paths that are no UTF-8", () => {
  const lines = [
    '{ "PostgreSQL-Backup-Manifest-Version": 2,\n"System-Identifier": 7710980368781623942,\n"Files": [\n',
    '{ "Encoded-Path": "62617365ff", "Size": 1, "Last-Modified": "2026-11-22 14:00:00 GMT", "Checksum-Algorithm": "CRC32C", "Checksum": "00000000" }\n',
    '],\n"WAL-Ranges": [\n{ "Timeline": 1, "Start-LSN": "0/2000028", "End-LSN": "0/2000100" }\n],\n',
  ].join("");
  const files: ManifestFile[] = [];
  const reader = new BackupManifestReader((file) => void files.push(file));
  reader.push(Buffer.from(lines));
  assert.equal(files[0]?.path.toString("latin1"), "base\u00ff");
  const checksum = createHash("sha256").update(lines).digest("hex");
  reader.push(Buffer.from(`"Manifest-Checksum": "${checksum}"}\n`));
  assert.equal(reader.finish().systemId, "7710980368781623942");
});

test("isPageRight() accepts every page of a healthy cluster, and no page with another content or place", () => {
  let pages = 0;
  for (const { entry, bytes } of splitTar(backup.tar)) {
    const first = firstPageOf(entry.path.toString("latin1"));
    if (first === undefined || entry.type !== "file") continue;
    for (let at = 0; at < bytes.length; at += PAGE_BYTES) {
      const page = Int32Array.from({ length: PAGE_BYTES / 4 }, (_, index) => bytes.readInt32LE(at + index * 4));
      assert.ok(isPageRight(page, first + at / PAGE_BYTES, LAST_LSN), `${entry.path.toString("latin1")} at ${at}`);
      if ((page[3] ?? 0) >>> 16 === 0) continue;
      pages += 1;
      if (pages % 50 !== 0) continue;
      assert.notEqual(pageChecksum(page, first + at / PAGE_BYTES + 1), pageChecksum(page, first + at / PAGE_BYTES));
      page[1000] = (page[1000] ?? 0) ^ 1;
      assert.ok(!isPageRight(page, first + at / PAGE_BYTES, LAST_LSN));
      // Changed since the backup began: replay rewrites it.
      assert.ok(isPageRight(page, first + at / PAGE_BYTES, parseLsn("0/1")));
    }
  }
  assert.ok(pages > 2000);
});

test("firstPageOf() knows which files have page checksums", () => {
  assert.equal(firstPageOf("base/5/1259"), 0);
  assert.equal(firstPageOf("base/5/1259_vm"), 0);
  assert.equal(firstPageOf("base/5/16384.2"), 262_144);
  assert.equal(firstPageOf("PG_15_202209061/5/16385_init"), 0);
  assert.equal(firstPageOf("global/1262"), 0);
  for (const path of ["global/pg_control", "base/5/pg_filenode.map", "pg_xact/0000", "base/5/PG_VERSION", "1259"])
    assert.equal(firstPageOf(path), undefined);
});

test("parseControlFile() reads what pg_controldata prints", async () => {
  await server.query("checkpoint");
  await server.stop();
  const control = parseControlFile(await readFile(join(server.dataFolder, "global/pg_control")));
  const text = await runProgram("pg_controldata", ["-D", server.dataFolder], { LC_ALL: "C" });
  const line = (label: string): string => new RegExp(`^${label}:\\s+(.*)$`, "m").exec(text)?.[1] ?? "";
  assert.equal(control.systemId, line("Database system identifier"));
  assert.equal(control.state, line("Database cluster state"));
  assert.equal(formatLsn(control.checkpoint), line("Latest checkpoint location"));
  assert.equal(formatLsn(control.redo), line("Latest checkpoint's REDO location"));
  assert.equal(String(control.timeline), line("Latest checkpoint's TimeLineID"));
  assert.equal(String(control.walSegmentSize), line("Bytes per WAL segment"));
  assert.equal(control.hasChecksums, line("Data page checksum version") === "1");
  assert.deepEqual(Object.values(control.minimums).map(String), [
    line("max_connections setting"),
    line("max_worker_processes setting"),
    line("max_wal_senders setting"),
    line("max_prepared_xacts setting"),
    line("max_locks_per_xact setting"),
  ]);
  await server.start();
});

test("parseControlFile() refuses a changed byte", async () => {
  const bytes = await readFile(join(server.dataFolder, "global/pg_control"));
  bytes[181] = (bytes[181] ?? 0) ^ 1;
  assert.throws(() => parseControlFile(bytes), { code: "object_corrupt" });
});

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { get, type IncomingMessage } from "node:http";
import { buffer } from "node:stream/consumers";
import { after, describe, test } from "node:test";
import type { Download } from "../../src/control/services.ts";
import { TidemarkError } from "../../src/core/errors.ts";
import { ARCHIVE, BACKUP, BACKUP_ID, download, inMemoryServices, SIGNATURE } from "./in-memory-services.ts";
import { openFace, until } from "./open-face.ts";

const PATH = `/downloads/backups/${BACKUP_ID}?expires=1&signature=${SIGNATURE}`;
const SHA256 = createHash("sha256").update(ARCHIVE).digest("hex");
const ETAG = `"${SHA256}"`;

const face = await openFace({ after });

/** A download as clients do it: without a token. */
function fetchArchive(headers: Record<string, string> = {}, method = "GET"): Promise<Response> {
  return fetch(`${face.url}${PATH}`, { headers, method });
}

async function bytesOf(response: Response): Promise<Buffer> {
  return Buffer.from(await response.arrayBuffer());
}

/** A face whose archive is read by `read`. */
async function openReading(t: { after(clean: () => Promise<void>): void }, read: Download["read"]) {
  const services = inMemoryServices();
  const backups = { ...services.backups, openDownload: async () => download(read) };
  return openFace(t, { services: { ...services, backups } });
}

/** The answer's head; its body waits to be read. */
async function startDownload(url: string): Promise<IncomingMessage> {
  const [response] = await once(get(`${url}${PATH}`), "response");
  return response;
}

describe("GET /downloads/backups/ID", () => {
  test("sends the archive with its length, name, hash, and no encoding", async () => {
    const response = await fetchArchive({ "Accept-Encoding": "gzip" });
    assert.equal(response.status, 200);
    assert.equal(response.headers.get("Content-Type"), "application/gzip");
    assert.equal(response.headers.get("Content-Length"), String(ARCHIVE.length));
    assert.equal(response.headers.get("Content-Encoding"), null);
    assert.equal(response.headers.get("Accept-Ranges"), "bytes");
    assert.equal(response.headers.get("Cache-Control"), "private, no-store");
    assert.equal(response.headers.get("ETag"), ETAG);
    assert.equal(response.headers.get("Content-Disposition"), `attachment; filename="${BACKUP.name}.tar.gz"`);
    assert.equal(
      createHash("sha256")
        .update(await bytesOf(response))
        .digest("hex"),
      SHA256,
    );
  });

  test("answers HEAD with the same headers, and ignores a range there", async () => {
    const response = await fetchArchive({ Range: "bytes=0-1" }, "HEAD");
    assert.equal(response.status, 200);
    assert.equal(response.headers.get("Content-Length"), String(ARCHIVE.length));
    assert.equal((await bytesOf(response)).length, 0);
  });

  for (const [range, first, end] of [
    ["bytes=0-0", 0, 1],
    ["bytes=6999-7001", 6999, 7002],
    ["bytes=299990-", 299_990, 300_000],
    ["bytes=100000-999999999", 100_000, 300_000],
    ["bytes=-5", 299_995, 300_000],
    ["bytes=-999999999", 0, 300_000],
  ] as const)
    test(`sends ${range} as a 206`, async () => {
      const response = await fetchArchive({ Range: range });
      assert.equal(response.status, 206);
      assert.equal(response.headers.get("Content-Range"), `bytes ${first}-${end - 1}/300000`);
      assert.equal(response.headers.get("Content-Length"), String(end - first));
      assert.ok((await bytesOf(response)).equals(ARCHIVE.subarray(first, end)));
    });

  test("sends the whole file for several ranges, another unit, or an If-Range of another file", async () => {
    for (const headers of [
      { Range: "bytes=0-1,5-6" },
      { Range: "lines=1-2" },
      { Range: "bytes=0-1", "If-Range": '"other"' },
      { Range: "bytes=0-1", "If-Range": "Wed, 21 Oct 2026 07:28:00 GMT" },
    ]) {
      const response = await fetchArchive(headers);
      assert.equal(response.status, 200);
      assert.ok((await bytesOf(response)).equals(ARCHIVE));
    }
  });

  test("sends the range when If-Range names this file", async () => {
    const response = await fetchArchive({ Range: "bytes=0-1", "If-Range": ETAG });
    assert.equal(response.status, 206);
    assert.ok((await bytesOf(response)).equals(ARCHIVE.subarray(0, 2)));
  });

  for (const range of ["bytes=300000-", "bytes=5-4", "bytes=-0", "bytes=-", "bytes=a-b", "bytes=99999999999999999999-"])
    test(`refuses ${range} with a 416 that tells the size`, async () => {
      const response = await fetchArchive({ Range: range });
      assert.equal(response.status, 416);
      assert.equal(response.headers.get("Content-Range"), "bytes */300000");
      assert.deepEqual(await response.json(), {
        error: "The archive has 300000 bytes, none in that range",
        code: "range_not_satisfiable",
      });
    });

  test("refuses If-Match of another file with a 412", async () => {
    const refused = await fetchArchive({ "If-Match": '"other"' });
    assert.equal(refused.status, 412);
    const body: unknown = await refused.json();
    assert.ok(typeof body === "object" && body !== null && "code" in body && body.code === "precondition_failed");
    for (const tag of [ETAG, `"other", ${ETAG}`, "*"])
      assert.equal((await fetchArchive({ "If-Match": tag }, "HEAD")).status, 200);
  });

  test("refuses a link without, with a wrong or with an odd signature as a 403 with its code", async () => {
    for (const query of ["", "?", "?expires=1&signature=other", "?signature=a&signature=b", "?signature=%00"]) {
      const response = await fetch(`${face.url}/downloads/backups/${BACKUP_ID}${query}`);
      assert.equal(response.status, 403, query);
      assert.deepEqual(await response.json(), { error: "This download address has expired", code: "link_expired" });
    }
  });
});

describe("reading of an archive", () => {
  test("that fails before the first byte is answered with its error in JSON", async (t) => {
    const unavailable = new TidemarkError("storage_unavailable", "Cannot reach the storage");
    const broken = await openReading(t, () => ({
      [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(unavailable) }),
    }));
    const response = await fetch(`${broken.url}${PATH}`);
    assert.equal(response.status, 503);
    assert.equal(response.headers.get("Content-Type"), "application/json");
    const body: unknown = await response.json();
    assert.ok(typeof body === "object" && body !== null && "code" in body && body.code === "storage_unavailable");
    assert.equal(response.headers.get("ETag"), null);
  });

  const failures: Record<string, Download["read"]> = {
    "that fails half way": async function* () {
      yield ARCHIVE.subarray(0, 100_000);
      throw new TidemarkError("storage_unavailable", "Cannot reach the storage");
    },
    "that ends early": async function* () {
      yield ARCHIVE.subarray(0, 100_000);
    },
    "that yields more than the length": async function* () {
      yield ARCHIVE;
      yield ARCHIVE;
    },
  };
  for (const [what, read] of Object.entries(failures))
    test(`${what} cuts the connection and is logged`, async (t) => {
      const broken = await openReading(t, read);
      const response = await startDownload(broken.url);
      assert.equal(response.statusCode, 200);
      if (what === "that yields more than the length") assert.ok((await buffer(response)).equals(ARCHIVE));
      else await assert.rejects(buffer(response), { code: "ECONNRESET" });
      await until(() => broken.log.some(({ level }) => level === "error"));
      const line = broken.log.find(({ level }) => level === "error");
      assert.equal(line?.message, "Could not read an archive while sending it; the connection is cut");
      assert.equal(line.fields["backupId"], BACKUP_ID);
      assert.equal((await fetch(`${broken.url}/healthz`)).status, 200);
    });

  test("waits for the client: only a few chunks are read ahead of it", async (t) => {
    let chunksRead = 0;
    const chunk = Buffer.alloc(1024 * 1024);
    const services = inMemoryServices();
    const endless: Download = {
      ...download(async function* () {
        for (;;) {
          chunksRead++;
          yield chunk;
        }
      }),
      sizeBytes: 1024 * chunk.length,
    };
    const backups = { ...services.backups, openDownload: async () => endless };
    const slow = await openFace(t, { services: { ...services, backups } });
    const response = await startDownload(slow.url);
    await until(() => chunksRead > 2);
    // Answers of another connection show that the server had every chance to read on.
    for (let requests = 0; requests < 20; requests++) await fetch(`${slow.url}/healthz`).then((r) => r.text());
    assert.ok(chunksRead < 64, `${chunksRead} MiB read for a client that reads nothing`);
    response.destroy();
    await until(() => slow.log.some(({ message }) => message.startsWith("The client left")));
  });

  test("ends when the client leaves: its signal aborts and its iterator is returned", async (t) => {
    let aborted = false;
    let returned = false;
    const left = await openReading(t, async function* ({ signal }) {
      try {
        yield ARCHIVE.subarray(0, 1000);
        await once(signal, "abort");
        aborted = signal.aborted;
        signal.throwIfAborted();
      } finally {
        returned = true;
      }
    });
    const response = await startDownload(left.url);
    response.destroy();
    await until(() => aborted && returned);
    await until(() => left.log.some(({ message }) => message === "The client left before the archive was sent"));
    assert.deepEqual(
      left.log.filter(({ level }) => level === "error"),
      [],
    );
  });
});

import { createRoute, z } from "@hono/zod-openapi";
import type { Context } from "hono";
import type { Download } from "../control/services.ts";
import { TidemarkError } from "../core/errors.ts";
import { refusals } from "./api-schemas.ts";
import { resolveRange } from "./byte-range.ts";
import type { FaceEnv, Router } from "./context.ts";
import { pathName, plainText } from "./validation.ts";

const archive = { "application/gzip": { schema: z.string().openapi({ format: "binary" }) } };

const downloadBackup = createRoute({
  operationId: "downloadBackup",
  method: "get",
  path: "/downloads/backups/{backup}",
  summary: "Download an archive by a signed address; takes HEAD, Range, If-Range and If-Match",
  security: [],
  request: {
    params: z.object({ backup: pathName }),
    query: z.object({ expires: linkPart(32), signature: linkPart(512) }),
  },
  responses: {
    200: { description: "The archive: a gzipped tar of one pg_dump file", content: archive },
    206: { description: "The range that was asked for", content: archive },
    ...refusals(403, 404, 412, 416),
  },
});

/** Missing or odd values become the empty text, which no link has: to the caller they are one thing, a link that doesn't hold. */
function linkPart(maxChars: number) {
  return plainText(maxChars).catch("").openapi({ type: "string" });
}

/** What of the archive goes out. */
interface Selection {
  readonly status: 200 | 206;
  readonly offset: number;
  readonly lengthBytes: number;
}

export function registerDownloads(router: Router): void {
  router.openapi(downloadBackup, async (c) => {
    const { services } = c.var.face;
    const download = await services.backups.openDownload({
      backupId: c.req.valid("param").backup,
      ...c.req.valid("query"),
    });
    const selection = select(c, download);
    // The body first: an archive that can't be read is answered with its error, which is no file and has none of its headers.
    const body = c.req.method === "HEAD" ? null : await openBody(c, download, selection);
    setFileHeaders(c, download, selection);
    return body === null ? c.body(null, 200) : c.body(body, selection.status);
  });
}

function select(c: Context<FaceEnv>, download: Download): Selection {
  const whole: Selection = { status: 200, offset: 0, lengthBytes: download.sizeBytes };
  const etag = etagOf(download);
  const ifMatch = c.req.header("If-Match");
  if (ifMatch !== undefined && ifMatch.trim() !== "*" && !ifMatch.split(",").some((tag) => tag.trim() === etag))
    throw new TidemarkError(
      "precondition_failed",
      `Cannot download backup "${download.backupId}": its ETag is ${etag}`,
    );
  const ifRange = c.req.header("If-Range");
  if (c.req.method === "HEAD" || (ifRange !== undefined && ifRange.trim() !== etag)) return whole;
  const range = resolveRange(c.req.header("Range"), download.sizeBytes);
  if (range.kind === "part") return { status: 206, offset: range.offset, lengthBytes: range.lengthBytes };
  if (range.kind === "whole") return whole;
  c.header("Content-Range", `bytes */${download.sizeBytes}`);
  throw new TidemarkError("range_not_satisfiable", `The archive has ${download.sizeBytes} bytes, none in that range`);
}

function setFileHeaders(c: Context<FaceEnv>, download: Download, { status, offset, lengthBytes }: Selection): void {
  // No Content-Encoding, ever: clients would inflate the archive on the way and store a tar under the name of a .tar.gz.
  c.header("Content-Type", "application/gzip");
  c.header("Content-Length", String(lengthBytes));
  c.header("Content-Disposition", `attachment; filename="${download.fileName.replace(/[^\w.-]/g, "_")}"`);
  c.header("Accept-Ranges", "bytes");
  c.header("ETag", etagOf(download));
  c.header("Cache-Control", "private, no-store");
  if (status === 206) c.header("Content-Range", `bytes ${offset}-${offset + lengthBytes - 1}/${download.sizeBytes}`);
}

function etagOf(download: Download): string {
  return `"${download.sha256}"`;
}

/** Waits for the first bytes, so that an archive that can't be read is still answered with its error. */
async function openBody(c: Context<FaceEnv>, download: Download, selection: Selection): Promise<ReadableStream> {
  const { signal } = c.req.raw;
  const bytes = download.read({ offset: selection.offset, lengthBytes: selection.lengthBytes, signal });
  const iterator = bytes[Symbol.asyncIterator]();
  const first = await iterator.next();
  return ReadableStream.from(sendBytes(c, { download, selection, iterator, first }));
}

interface OpenBody {
  readonly download: Download;
  readonly selection: Selection;
  readonly iterator: AsyncIterator<Uint8Array>;
  readonly first: IteratorResult<Uint8Array>;
}

/**
 * Yields exactly as many bytes as Content-Length says. When that fails the connection is destroyed: a short body is the only way left to tell the
 * client, and ending the stream as usual would leave it waiting.
 */
async function* sendBytes(c: Context<FaceEnv>, body: OpenBody): AsyncGenerator<Uint8Array> {
  const { download, selection, iterator } = body;
  const log = c.var.face.logger.child({ requestId: c.var.requestId, backupId: download.backupId });
  let sentBytes = 0;
  let outcome: "sent" | "left" | "failed" = "left";
  try {
    for (let next = body.first; !next.done; next = await iterator.next()) {
      sentBytes += next.value.byteLength;
      if (sentBytes > selection.lengthBytes) throw wrongLength(download, sentBytes);
      yield next.value;
    }
    if (sentBytes !== selection.lengthBytes) throw wrongLength(download, sentBytes);
    outcome = "sent";
  } catch (error) {
    if (!c.req.raw.signal.aborted) {
      outcome = "failed";
      log.error({ sentBytes, err: error }, "Could not read an archive while sending it; the connection is cut");
    }
    c.env.outgoing.destroy();
  } finally {
    // A client that leaves makes the stream return this generator at its yield: no error passes by then.
    if (outcome === "left") log.info({ sentBytes }, "The client left before the archive was sent");
    if (outcome === "sent") log.info({ sentBytes }, "Sent an archive");
    await iterator.return?.();
  }
}

function wrongLength(download: Download, readBytes: number): TidemarkError {
  return new TidemarkError(
    "object_corrupt",
    `Archive of backup "${download.backupId}" doesn't have the length that its manifest gives: ${readBytes} bytes were read`,
  );
}

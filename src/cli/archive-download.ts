import { createHash } from "node:crypto";
import type { Hash } from "node:crypto";
import type { Clock } from "../core/clock.ts";
import { TidemarkError } from "../core/errors.ts";
import { isJsonObject } from "./decode.ts";
import { replyError } from "./reply-error.ts";
import { unreachable } from "./transport.ts";

/** Where the archive's bytes go, in order. */
export interface ArchiveSink {
  /** Resolves when more can be taken. Throws a TidemarkError when it can't be written; that is not tried again. */
  write(bytes: Uint8Array): Promise<void>;
  /** Forgets what was written: the bytes come again from the first. Throws where that can't be. */
  restart(): Promise<void>;
}

export interface ArchiveDownload {
  /** A fresh signed address for each attempt: an old one may have expired by then. Never shown. */
  readonly openLink: () => Promise<string>;
  readonly userAgent: string;
  /** Bytes that the backup list tells; null when it doesn't. */
  readonly sizeBytes: number | null;
  readonly sink: ArchiveSink;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly onProgress: (done: { doneBytes: number; totalBytes: number | null }) => void;
}

/** Attempts in a row that bring nothing new. Each that does starts the count anew: an archive is finite. */
const FRUITLESS_ATTEMPTS_MAX = 8;
/** Doubled at each attempt in vain up to the limit: together they outlast a platform that restarts. */
const RETRY_DELAY_MS = 1000;
const RETRY_DELAY_MAX_MS = 8000;
/** A connection that brings no byte for so long is dead. The platform decrypts as it sends, so that bytes flow steadily. */
const STALL_TIMEOUT_MS = 60_000;

const SHA256_ETAG = /^"([0-9a-f]{64})"$/;
const CONTENT_RANGE = /^bytes (\d+)-\d+\/(\d+)$/;

/** What has come so far. */
interface Received {
  doneBytes: number;
  totalBytes: number | null;
  etag: string | null;
  hash: Hash;
}

/**
 * Fetches an archive into the sink, taking up a cut connection where it broke, and checks it: its length against what the platform announced,
 * and its bytes against the SHA-256 that the platform sends as ETag, when it does.
 *
 * `download_incomplete` after too many attempts in vain, `object_corrupt` when the bytes are not what was announced; the platform's own error when
 * it refuses; the sink's error; the signal's reason. After an error the sink holds no usable archive.
 */
export async function downloadArchive(download: ArchiveDownload): Promise<{ sizeBytes: number; sha256: string }> {
  const received: Received = { doneBytes: 0, totalBytes: download.sizeBytes, etag: null, hash: createHash("sha256") };
  let furthestBytes = 0;
  let fruitless = 0;
  for (;;) {
    const cut = await attempt(download, received);
    if (cut === undefined) return verify(received, download.sizeBytes);
    fruitless = received.doneBytes > furthestBytes ? 0 : fruitless + 1;
    furthestBytes = Math.max(furthestBytes, received.doneBytes);
    // Where nothing ever answered, waiting helps as little as for any other command.
    if (furthestBytes === 0 && cut.code === "platform_unreachable") throw cut;
    if (fruitless >= FRUITLESS_ATTEMPTS_MAX) throw incomplete(received, cut);
    const delayMs = Math.min(RETRY_DELAY_MS * 2 ** fruitless, RETRY_DELAY_MAX_MS);
    await download.clock.sleep(delayMs, download.signal);
  }
}

/** Undefined when all bytes have come; otherwise why the connection ended before, when another attempt may bring more. */
async function attempt(download: ArchiveDownload, received: Received): Promise<TidemarkError | undefined> {
  const stall = new AbortController();
  const stallTimer = setTimeout(() => stall.abort(), STALL_TIMEOUT_MS);
  let origin = "";
  try {
    const link = await download.openLink();
    origin = new URL(link).origin;
    const signal = AbortSignal.any([download.signal, stall.signal]);
    const response = await fetch(link, { headers: requestHeaders(download.userAgent, received), signal });
    await refuseFailure(response);
    await align(response, { sink: download.sink, received });
    for await (const bytes of response.body ?? []) {
      stallTimer.refresh();
      await download.sink.write(bytes);
      received.hash.update(bytes);
      received.doneBytes += bytes.byteLength;
      download.onProgress(received);
    }
    const complete = received.totalBytes === null || received.doneBytes >= received.totalBytes;
    return complete ? undefined : shortBody(received);
  } catch (error) {
    download.signal.throwIfAborted();
    // The last byte may have come although the connection didn't end well.
    if (received.totalBytes !== null && received.doneBytes === received.totalBytes) return undefined;
    return passingFailure(error, { origin, stalled: stall.signal.aborted });
  } finally {
    clearTimeout(stallTimer);
  }
}

function requestHeaders(userAgent: string, { doneBytes, etag }: Received): Record<string, string> {
  // Without this header, fetch would ask for gzip and unpack the archive on the way.
  const headers: Record<string, string> = { "user-agent": userAgent, "accept-encoding": "identity" };
  if (doneBytes > 0) {
    headers["range"] = `bytes=${doneBytes}-`;
    if (etag !== null) headers["if-range"] = etag;
  }
  return headers;
}

async function refuseFailure(response: Response): Promise<void> {
  const encoding = response.headers.get("content-encoding");
  if (response.ok && (encoding === null || encoding === "identity")) return;
  if (response.ok) {
    await response.body?.cancel();
    throw new TidemarkError(
      "reply_unreadable",
      `Cannot download the archive: it came with the encoding "${encoding}"`,
      {
        hint: "A proxy on the way changes the bytes; switch off its compression for this address.",
      },
    );
  }
  // Storage behind the platform may answer something else than JSON; the status says enough then.
  const body: unknown = await response.json().catch(() => undefined);
  throw replyError(response.status, isJsonObject(body) ? body : {});
}

/** Makes what was received so far and what comes now fit together. */
async function align(response: Response, { sink, received }: { sink: ArchiveSink; received: Received }): Promise<void> {
  const range = CONTENT_RANGE.exec(response.headers.get("content-range") ?? "");
  const continues = response.status === 206 && range !== null && Number(range[1]) === received.doneBytes;
  if (!continues && received.doneBytes > 0) {
    await sink.restart();
    received.doneBytes = 0;
    received.hash = createHash("sha256");
  }
  if (response.status === 206 && !continues) {
    await response.body?.cancel();
    throw new TidemarkError("download_incomplete", "The platform sent another part of the archive than was asked for");
  }
  const length = response.headers.get("content-length");
  if (range !== null) received.totalBytes = Number(range[2]);
  else if (length !== null) received.totalBytes = Number(length);
  received.etag = response.headers.get("etag");
}

/** Returned when another attempt may do better, thrown otherwise. */
function passingFailure(error: unknown, { origin, stalled }: { origin: string; stalled: boolean }): TidemarkError {
  if (stalled) {
    const waited = `no byte came for ${STALL_TIMEOUT_MS / 1000} s`;
    return new TidemarkError("download_incomplete", `Cannot download the archive: ${waited}`, { cause: error });
  }
  if (error instanceof TidemarkError) {
    if (error.kind === "transient" && error.code !== "disk_full") return error;
    throw error;
  }
  // fetch tells every failure of the connection by a TypeError.
  if (error instanceof TypeError && origin !== "") return unreachable(error, { url: origin, timedOut: false });
  throw error;
}

function shortBody({ doneBytes, totalBytes }: Received): TidemarkError {
  return new TidemarkError(
    "download_incomplete",
    `Cannot download the archive: ${doneBytes} of ${totalBytes} bytes came`,
  );
}

function incomplete({ doneBytes, totalBytes }: Received, cause: TidemarkError): TidemarkError {
  const of = totalBytes === null ? "" : ` of ${totalBytes}`;
  return new TidemarkError("download_incomplete", `Download cut after ${doneBytes}${of} bytes: ${cause.message}`, {
    hint: cause.hint ?? "Check the connection to the platform and run the command again.",
    cause,
  });
}

function verify(
  { doneBytes, totalBytes, etag, hash }: Received,
  listedBytes: number | null,
): { sizeBytes: number; sha256: string } {
  const sha256 = hash.digest("hex");
  const announced = SHA256_ETAG.exec(etag ?? "")?.[1];
  for (const expectedBytes of [totalBytes, listedBytes]) {
    if (expectedBytes === null || expectedBytes === doneBytes) continue;
    throw corrupt(`${doneBytes} bytes came instead of ${expectedBytes}`);
  }
  if (announced !== undefined && announced !== sha256) throw corrupt(`SHA-256 is ${sha256}, expected ${announced}`);
  return { sizeBytes: doneBytes, sha256 };
}

function corrupt(reason: string): TidemarkError {
  return new TidemarkError("object_corrupt", `The downloaded archive is not what the platform announced: ${reason}`, {
    hint: "Nothing was kept. Run the command again; if it fails again, check the proxies on the way.",
  });
}

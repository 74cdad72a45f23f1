import { basename } from "node:path";
import { TidemarkError } from "../core/errors.ts";

/** A file in a form, its bytes as they come. */
export interface MultipartFile {
  /** Its own name, without folders. */
  readonly name: string;
  /** Read it to its end. `bad_request` when the form ends before its boundary. */
  readonly bytes: AsyncIterable<Uint8Array>;
}

/** A part's headers are two short lines. */
const PART_HEAD_BYTES_MAX = 8192;
/** RFC 2046 5.1.1. */
const BOUNDARY = /^multipart\/form-data\s*;.*\bboundary="?([\w'()+,./:=? -]{1,70}?)"?\s*(?:;|$)/is;
const FILE_NAME = /^content-disposition:[^\r\n]*\bfilename="((?:[^"\\\r\n]|\\.)*)"/im;

/**
 * Reads a form that has one part, a file, without holding more of it in memory than came at a time. `unsupported_media_type` for what is no form,
 * `bad_request` for a form without a file.
 */
export async function readMultipartFile(
  body: AsyncIterable<Uint8Array>,
  contentType: string | undefined,
): Promise<MultipartFile> {
  const boundary = BOUNDARY.exec(contentType ?? "")?.[1];
  if (boundary === undefined) {
    throw new TidemarkError("unsupported_media_type", "The request's body must be a form with a file", {
      hint: "Send it with the header Content-Type: multipart/form-data; boundary=…",
    });
  }
  const chunks = body[Symbol.asyncIterator]();
  const { head, rest } = await readHead(chunks, boundary);
  const written = FILE_NAME.exec(head)?.[1]?.replaceAll(/\\(.)/g, "$1");
  // The name is used as one of a file, and shown; folders of the sender's machine mean nothing here.
  const name = basename((written ?? "").replaceAll("\\", "/"));
  if (name === "" || name === "." || name === ".." || /\p{Cc}/u.test(name) || Buffer.byteLength(name) > 255)
    throw malformed("its part has no name of a file");
  return { name, bytes: readContent(chunks, { rest, delimiter: Buffer.from(`\r\n--${boundary}`) }) };
}

/** Up to the empty line that ends the part's headers. */
async function readHead(
  chunks: AsyncIterator<Uint8Array>,
  boundary: string,
): Promise<{ readonly head: string; readonly rest: Buffer }> {
  let gathered = Buffer.alloc(0);
  for (;;) {
    const end = gathered.indexOf("\r\n\r\n");
    if (end >= 0) {
      const head = gathered.subarray(0, end).toString("utf8");
      if (!head.startsWith(`--${boundary}\r\n`)) throw malformed("it doesn't begin with its boundary");
      return { head, rest: gathered.subarray(end + 4) };
    }
    if (gathered.length > PART_HEAD_BYTES_MAX) throw malformed("the headers of its part are too long");
    const { done, value } = await chunks.next();
    if (done === true) throw malformed("it ends within the headers of its part");
    gathered = Buffer.concat([gathered, value]);
  }
}

async function* readContent(
  chunks: AsyncIterator<Uint8Array>,
  { rest, delimiter }: { readonly rest: Buffer; readonly delimiter: Buffer },
): AsyncIterable<Uint8Array> {
  // An empty file: the line end before the delimiter is the one that ended the headers.
  let kept = Buffer.concat([Buffer.from("\r\n"), rest]);
  let skip = 2;
  for (;;) {
    const end = kept.indexOf(delimiter, rest.length === 0 ? 0 : 0);
    if (end >= 0) {
      if (end > skip) yield kept.subarray(skip, end);
      return;
    }
    // The delimiter may be cut by the end of what has come: so much is kept back.
    const sure = Math.max(skip, kept.length - delimiter.length + 1);
    if (sure > skip) yield kept.subarray(skip, sure);
    kept = kept.subarray(sure);
    skip = 0;
    const { done, value } = await chunks.next();
    if (done === true) throw malformed("it ends without its boundary");
    kept = Buffer.concat([kept, value]);
  }
}

function malformed(reason: string): TidemarkError {
  return new TidemarkError("bad_request", `The form can't be read: ${reason}`);
}

import { TidemarkError } from "../core/errors.ts";
import { parseLsn } from "../core/lsn.ts";
import { parseTimestamp } from "../core/timestamp.ts";
import type { RestoreTarget } from "./target-request.ts";

/** PostgreSQL's MAXFNAMELEN, less the zero at the end. */
const RESTORE_POINT_NAME_BYTES_MAX = 63;
/** Transaction ids have 32 bits. */
const XID_MAX = 0xffff_ffff;
const POSITION = /^[0-9A-Fa-f]{1,8}\/[0-9A-Fa-f]{1,8}$/;
const NUMBER = /^\d{1,10}$/;
const BEGINS_AS_TIME = /^\d{4}-\d\d/;
const KIND_BEFORE_COLON = /^(time|lsn|xid|name):(.*)$/s;

/**
 * Reads a moment as people write it: `latest`, a time with its zone, a position (`0/16B3748`), a transaction's number, or else the name of a restore
 * point. `time:`, `lsn:`, `xid:` or `name:` before it says which is meant.
 *
 * @param text what was written
 * @param options.isExclusive what lies exactly there is left out
 * @throws `bad_request` when it can't be read, or is exclusive where that means nothing
 */
export function parseTarget(
  text: string,
  { isExclusive = false }: { readonly isExclusive?: boolean } = {},
): RestoreTarget {
  const [, named, rest] = KIND_BEFORE_COLON.exec(text) ?? [];
  const value = rest ?? text;
  const kind = named ?? kindOf(text);
  const exclusion = isExclusive ? { isExclusive } : {};
  if (kind === "time") return { kind, time: parseTimestamp(value), ...exclusion };
  if (kind === "lsn") return { kind, lsn: parseLsn(value), ...exclusion };
  if (kind === "xid") return { kind, xid: parseXid(value), ...exclusion };
  if (isExclusive)
    throw new TidemarkError("bad_request", `"${text}" can't be exclusive`, {
      hint: "Only a time, a position or a transaction can be left out itself",
    });
  return kind === "latest" ? { kind } : { kind: "restore point", name: parseName(value) };
}

function kindOf(text: string): string {
  if (text === "latest") return "latest";
  if (POSITION.test(text)) return "lsn";
  if (NUMBER.test(text)) return "xid";
  return BEGINS_AS_TIME.test(text) ? "time" : "name";
}

function parseXid(text: string): number {
  const xid = NUMBER.test(text) ? Number(text) : NaN;
  if (xid > 0 && xid <= XID_MAX) return xid;
  throw new TidemarkError("bad_request", `"${text}" is no transaction's number`, {
    hint: "pg_current_xact_id() tells one; without its epoch it is below 4294967296",
  });
}

function parseName(text: string): string {
  const bytes = Buffer.byteLength(text);
  if (bytes > 0 && bytes <= RESTORE_POINT_NAME_BYTES_MAX && !text.includes("\0")) return text;
  throw new TidemarkError("bad_request", `"${text}" is neither a moment nor a restore point's name`, {
    hint: `Give latest, a time with its zone, a position, a transaction, or a name of ${RESTORE_POINT_NAME_BYTES_MAX} bytes at most`,
  });
}

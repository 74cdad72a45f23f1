import { systemErrorCode, TidemarkError, type ErrorCode } from "../core/errors.ts";

interface Reading {
  readonly code: ErrorCode;
  readonly hint: string;
}

const FULL: Reading = { code: "disk_full", hint: "Free space where the repository lies, or move it to a larger disk" };
const DENIED: Reading = {
  code: "storage_denied",
  hint: "Give the user that runs Tidemark read and write permission on the repository's folder",
};
const UNAVAILABLE: Reading = {
  code: "storage_unavailable",
  hint: "Check that the disk or share of the repository is mounted and healthy",
};

const READINGS: Readonly<Record<string, Reading>> = {
  ENOSPC: FULL,
  EDQUOT: FULL,
  EACCES: DENIED,
  EPERM: DENIED,
  EROFS: DENIED,
  EIO: UNAVAILABLE,
  ENOENT: UNAVAILABLE,
  ENOTDIR: UNAVAILABLE,
  EMFILE: UNAVAILABLE,
  ENFILE: UNAVAILABLE,
  EBUSY: UNAVAILABLE,
  ESTALE: UNAVAILABLE,
  ETIMEDOUT: UNAVAILABLE,
  EHOSTDOWN: UNAVAILABLE,
  ENOTCONN: UNAVAILABLE,
};

/**
 * What a failed system call means for a store. Only calls of the operating system are translated: a TidemarkError, an abort's reason or an error thrown
 * by the body that was being stored passes unchanged.
 */
export function storageError(doing: string, thrown: unknown): unknown {
  if (thrown instanceof TidemarkError || !isSystemCall(thrown)) return thrown;
  const reading = READINGS[systemErrorCode(thrown) ?? ""] ?? UNAVAILABLE;
  return new TidemarkError(reading.code, `Cannot ${doing}: ${thrown.message}`, { hint: reading.hint, cause: thrown });
}

function isSystemCall(thrown: unknown): thrown is NodeJS.ErrnoException {
  return thrown instanceof Error && "syscall" in thrown && "errno" in thrown;
}

import { TidemarkError, type ErrorCode, asTidemarkError } from "../core/errors.ts";
import type { FileOwner } from "./owned-files.ts";
import type { ExtractedFile } from "./volume-extractor.ts";

/** What a thread needs to know of the volume that it extracts. Holds a secret: never logged. */
export interface VolumeJob {
  /** The volume's object, for errors. */
  readonly key: string;
  /** Opens it. */
  readonly identity: string;
  /** Where its files go; it exists. */
  readonly folder: string;
  readonly owner: FileOwner | undefined;
  /** SHA-256 of the object as stored. */
  readonly storedSha256: string;
}

/** To the thread: a job, its stored bytes in order, and their end; then the next job. */
export type VolumeRequest =
  | { readonly kind: "job"; readonly job: VolumeJob }
  | { readonly kind: "bytes"; readonly bytes: Uint8Array }
  | { readonly kind: "end" };

/** From the thread: one answer to each `bytes` and to the `end`, until one of them is a failure. */
export type VolumeReply =
  | { readonly kind: "taken"; readonly plainBytes: number; readonly files: readonly ExtractedFile[] }
  | { readonly kind: "failed"; readonly code: ErrorCode; readonly message: string; readonly hint: string | undefined };

export function failureReply(thrown: unknown): VolumeReply {
  const { code, message, hint } = asTidemarkError(thrown);
  return { kind: "failed", code, message, hint };
}

export function failureOf({ code, message, hint }: Extract<VolumeReply, { kind: "failed" }>): TidemarkError {
  return new TidemarkError(code, message, hint === undefined ? {} : { hint });
}

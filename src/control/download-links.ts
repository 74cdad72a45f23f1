import { createHmac, timingSafeEqual } from "node:crypto";
import type { Clock } from "../core/clock.ts";
import { TidemarkError } from "../core/errors.ts";

/** Long enough to begin a download by hand; one that has begun goes on. */
const LIFETIME_SECONDS = 3600;

export interface DownloadLinks {
  /** An address that opens one backup's archive without a token, for an hour. */
  sign(backupId: string): string;
  /** `link_expired` when the address was altered or its time is over. */
  check(input: { backupId: string; expires: string; signature: string }): void;
}

/** `key`: 32 random bytes that sign addresses. `publicUrl`: where users reach the platform, without a path. */
export function createDownloadLinks({
  clock,
  key,
  publicUrl,
}: {
  clock: Clock;
  key: Uint8Array;
  publicUrl: string;
}): DownloadLinks {
  const signatureOf = (backupId: string, expires: string): Buffer =>
    createHmac("sha256", key).update(`backup archive\n${backupId}\n${expires}`).digest();
  return {
    sign(backupId) {
      const expires = String(Math.floor(clock.now().getTime() / 1000) + LIFETIME_SECONDS);
      const signature = signatureOf(backupId, expires).toString("base64url");
      return `${publicUrl}/downloads/backups/${backupId}?expires=${expires}&signature=${signature}`;
    },
    check({ backupId, expires, signature }) {
      const given = Buffer.from(signature, "base64url");
      const wanted = signatureOf(backupId, expires);
      const intact = given.length === wanted.length && timingSafeEqual(given, wanted);
      if (intact && Number(expires) * 1000 > clock.now().getTime()) return;
      throw new TidemarkError("link_expired", "This download address was altered or has expired", {
        hint: "Ask for a new one: tidemark backups-download, or the backup's /archive route.",
      });
    },
  };
}

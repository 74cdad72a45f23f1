import assert from "node:assert/strict";
import { test } from "node:test";
import { SteppedClock } from "../../test/harness/stepped-clock.ts";
import { createDownloadLinks } from "./download-links.ts";

const BACKUP_ID = "65710b0a99c3cd23d455edee";
const HOUR_MS = 3_600_000;

test("check() takes an address until its hour is over, and not a moment longer", () => {
  const clock = new SteppedClock(new Date("2026-01-02T03:04:05Z"));
  const links = createDownloadLinks({ clock, key: Buffer.alloc(32, 7), publicUrl: "https://backups.example.com" });
  const url = new URL(links.sign(BACKUP_ID));
  assert.equal(`${url.origin}${url.pathname}`, `https://backups.example.com/downloads/backups/${BACKUP_ID}`);
  const expires = url.searchParams.get("expires") ?? "";
  const signature = url.searchParams.get("signature") ?? "";
  clock.advance(HOUR_MS - 1);
  links.check({ backupId: BACKUP_ID, expires, signature });
  clock.advance(1);
  assert.throws(() => links.check({ backupId: BACKUP_ID, expires, signature }), { code: "link_expired" });
});

test("check() refuses an address that another platform signed", () => {
  const clock = new SteppedClock(new Date("2026-01-02T03:04:05Z"));
  const [ours, theirs] = [7, 8].map((byte) =>
    createDownloadLinks({ clock, key: Buffer.alloc(32, byte), publicUrl: "https://backups.example.com" }),
  );
  const url = new URL(theirs?.sign(BACKUP_ID) ?? "");
  const expires = url.searchParams.get("expires") ?? "";
  const signature = url.searchParams.get("signature") ?? "";
  theirs?.check({ backupId: BACKUP_ID, expires, signature });
  assert.throws(() => ours?.check({ backupId: BACKUP_ID, expires, signature }), { code: "link_expired" });
});

import type { Backup } from "../../generated/api.ts";
import { Badge, type Tone } from "../ui/badge.tsx";
import { Instant } from "../ui/instant.tsx";
import { durationText, sizeText } from "../ui/size.ts";

const TONES: Readonly<Record<Backup["status"], Tone>> = {
  scheduled: "quiet",
  running: "busy",
  done: "good",
  error: "bad",
};

/** The state in a word; while it is under way how far it has come. */
export function BackupStatus({ backup }: { backup: Backup }) {
  if (!isOpen(backup)) return <Badge tone={TONES[backup.status]}>{backup.status}</Badge>;
  return (
    <div className="progress" role="status">
      <Badge tone="busy">{backup.status}</Badge>
      <div className="bar" />
      <span className="muted small">{progressText(backup)}</span>
    </div>
  );
}

function progressText({ status, progress_bytes: bytes }: Backup): string {
  if (bytes > 0) return `${sizeText(bytes)} dumped`;
  return status === "scheduled" ? "waiting for its turn" : "nothing dumped yet";
}

/** Until when the plan keeps it, and why. */
export function BackupKept({ backup }: { backup: Backup }) {
  if (backup.status !== "done") return <span className="muted small">{tookText(backup)}</span>;
  return (
    <span className="small">
      {backup.kept_until !== null && (
        <>
          until <Instant at={backup.kept_until} />
          <br />
        </>
      )}
      <span className="muted">{backup.kept_because ?? "no longer kept: it goes with the next cleaning"}</span>
    </span>
  );
}

function tookText({ status, started_at: from, ended_at: to }: Backup): string {
  if (status !== "error" || from === null || to === null) return "";
  return `ended after ${durationText(Date.parse(to) - Date.parse(from))}`;
}

/** Why it failed, and what to do. */
export function BackupError({ error }: { error: NonNullable<Backup["error"]> }) {
  return (
    <div className="notice bad">
      <p>
        <strong>{error.message}</strong> <span className="muted mono small">{error.code}</span>
      </p>
      {error.hint !== null && <p>{error.hint}</p>}
    </div>
  );
}

/** Whether it is still under way. */
export function isOpen({ status }: Backup): boolean {
  return status === "scheduled" || status === "running";
}

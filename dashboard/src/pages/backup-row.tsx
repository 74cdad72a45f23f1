import type { ReactNode } from "react";
import type { Backup } from "../../generated/api.ts";
import { call } from "../api/call.ts";
import { useMutation } from "@tanstack/react-query";
import { asApiError, type ApiError } from "../api/api-error.ts";
import { useCall } from "../api/queries.ts";
import { Badge, type Tone } from "../ui/badge.tsx";
import { Icon } from "../ui/icons.tsx";
import { Instant } from "../ui/instant.tsx";
import { Failure } from "../ui/notice.tsx";
import { durationText, sizeText } from "../ui/size.ts";

const TONES: Readonly<Record<Backup["status"], Tone>> = {
  scheduled: "quiet",
  running: "busy",
  done: "good",
  error: "bad",
};

/** One backup, and beneath it what went wrong with it, or what could not be done with it. */
export function BackupRow({ addon, backup }: { addon: string; backup: Backup }) {
  const path = { addon, backup: backup.id };
  const cancel = useCall("cancelBackup");
  const download = useMutation<void, ApiError>({
    mutationFn: () => followArchive(path).catch((thrown: unknown) => Promise.reject(asApiError(thrown))),
  });
  const trouble = cancel.error ?? download.error;
  const hasDetail = backup.error !== null || trouble !== null;
  return (
    <>
      <tr className={hasDetail ? "has-detail" : ""}>
        <td>
          <Instant at={backup.created_at} />
          <div className="muted mono small">{backup.id}</div>
        </td>
        <td>
          <BackupStatus backup={backup} />
        </td>
        <td className="number">{backup.size === null ? "" : sizeText(backup.size)}</td>
        <td>{backup.method}</td>
        <td>
          <Kept backup={backup} />
        </td>
        <td className="actions">
          {backup.status === "done" && (
            <ActionButton
              backup={backup}
              word="Download"
              isPending={download.isPending}
              onClick={() => download.mutate()}
            >
              <Icon name="download" />
            </ActionButton>
          )}
          {isOpen(backup) && (
            <ActionButton
              backup={backup}
              word="Cancel"
              isPending={cancel.isPending}
              onClick={() => cancel.mutate({ path })}
            />
          )}
        </td>
      </tr>
      {hasDetail && (
        <tr className="detail">
          <td colSpan={6}>
            <BackupError backup={backup} />
            <Failure error={trouble} />
          </td>
        </tr>
      )}
    </>
  );
}

function ActionButton(props: {
  backup: Backup;
  word: string;
  isPending: boolean;
  onClick: () => void;
  children?: ReactNode;
}) {
  return (
    <button
      type="button"
      className="button compact"
      aria-label={`${props.word} ${props.backup.id}`}
      disabled={props.isPending}
      onClick={props.onClick}
    >
      {props.children}
      {props.word}
    </button>
  );
}

function BackupStatus({ backup }: { backup: Backup }) {
  if (!isOpen(backup)) return <Badge tone={TONES[backup.status]}>{backup.status}</Badge>;
  return (
    <div className="progress" role="status">
      <Badge tone="busy">{backup.status}</Badge>
      <div className="bar" />
      <span className="muted small">
        {backup.progress_bytes > 0 ? `${sizeText(backup.progress_bytes)} dumped` : "waiting for its turn"}
      </span>
    </div>
  );
}

function Kept({ backup }: { backup: Backup }) {
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

function BackupError({ backup: { error } }: { backup: Backup }) {
  if (error === null) return null;
  return (
    <div className="notice bad">
      <p>
        <strong>{error.message}</strong> <span className="muted mono small">{error.code}</span>
      </p>
      {error.hint !== null && <p>{error.hint}</p>}
    </div>
  );
}

function isOpen({ status }: Backup): boolean {
  return status === "scheduled" || status === "running";
}

/** Fetches the signed address and lets the browser save what is there. */
async function followArchive(path: { addon: string; backup: string }): Promise<void> {
  const { download_url: address } = await call("linkArchive", { path });
  const { pathname, search } = new URL(address);
  // The address names the platform as its operator has it; this page may have reached it by another name, and may follow that one only.
  const link = document.createElement("a");
  link.href = `${pathname}${search}`;
  link.download = "";
  link.click();
}

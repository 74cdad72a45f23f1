import { useMutation } from "@tanstack/react-query";
import type { ReactNode } from "react";
import type { Backup } from "../../generated/api.ts";
import { asApiError, type ApiError } from "../api/api-error.ts";
import { call } from "../api/call.ts";
import { useCall } from "../api/queries.ts";
import { Icon } from "../ui/icons.tsx";
import { Failure } from "../ui/notice.tsx";
import { isOpen } from "./backup-parts.tsx";
import { RestoreBackupButton } from "./logical-restores.tsx";

/** What can be done with a backup in its state, and why it could not be done. */
export function BackupActions({ addon, backup }: { addon: string; backup: Backup }) {
  const path = { addon, backup: backup.id };
  const cancel = useCall("cancelBackup");
  const download = useMutation<void, ApiError>({
    mutationFn: () => followArchive(path).catch((thrown: unknown) => Promise.reject(asApiError(thrown))),
  });
  return (
    <>
      {backup.status === "done" && (
        <ActionButton backup={backup} word="Download" isPending={download.isPending} onClick={() => download.mutate()}>
          <Icon name="download" />
        </ActionButton>
      )}
      {backup.status === "done" && <RestoreBackupButton addon={addon} backup={backup} />}
      {isOpen(backup) && (
        <ActionButton
          backup={backup}
          word="Cancel"
          isPending={cancel.isPending}
          onClick={() => cancel.mutate({ path })}
        />
      )}
      <Failure error={cancel.error ?? download.error} />
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

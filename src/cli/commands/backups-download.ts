import { TidemarkError } from "../../core/errors.ts";
import { downloadArchive } from "../archive-download.ts";
import { type BackupSource, openBackupSource, RESOURCE_OPTION } from "../backup-source.ts";
import type { CommandCall, CommandSpec } from "../command.ts";
import { isJsonObject } from "../decode.ts";
import { openDownloadTarget } from "../download-target.ts";
import type { DownloadTarget } from "../download-target.ts";
import type { Output } from "../output.ts";
import { createProgressDisplay } from "../progress-display.ts";
import { archiveReply, backupReply, backupsReply } from "../replies.ts";
import type { Backup } from "../replies.ts";
import { route } from "../transport.ts";

export const backupsDownload: CommandSpec = {
  name: "backups-download",
  group: "Backups",
  summary: "Download a backup's archive",
  details:
    "Without --backup, the newest backup that is done. The file appears under its name only when it is whole and its checksum is right; " +
    "a cut connection is taken up where it broke.",
  options: [
    { flags: "-b, --backup <id>", summary: "Which one, as `backups` lists it" },
    { flags: "-o, --output <place>", summary: "File, folder, or - for standard output (the working folder)" },
    { flags: "-s, --silent", summary: "Print nothing but errors" },
    RESOURCE_OPTION,
  ],
  examples: [
    "--app my-app --addon postgresql backups-download",
    "--app my-app --addon postgresql backups-download --backup 65710b0a99c3cd23d455edee --output /tmp",
    "--app my-app --addon postgresql backups-download --output - | tar -tz",
    "backups-download --resource my_app_4553",
  ],
  async run(call) {
    const toStdout = call.option("output") === "-";
    if (toStdout && call.json) {
      throw new TidemarkError("usage", "--json and --output - both want standard output");
    }
    const output = call.quieterOutput({ peopleOnStderr: toStdout, silent: call.flag("silent") });
    const source = await openBackupSource(call);
    const backupId = call.option("backup") ?? (await newestDone(source, output));
    const shown = await source.api.get(route`/api/backups/${backupId}`, backupReply);
    const backup = shown.value.database_backup;
    const file = await openDownloadTarget({
      output: call.option("output"),
      fileName: archiveName(backup),
      stdout: call.streams.stdout,
      signal: call.signal,
    });
    try {
      const { sha256 } = await fetchInto(call, { source, backup, file });
      await file.commit();
      if (file.path !== null) output.result(`===> ${file.path}`);
      if (isJsonObject(shown.body)) output.json({ ...shown.body, file: file.path, sha256 });
    } finally {
      await file.close();
    }
  },
};

async function newestDone({ api, addon, createCommand }: BackupSource, output: Output): Promise<string> {
  const { database_backups: backups } = (await api.get(route`/api/databases/${addon}/backups`, backupsReply)).value;
  const hint = createCommand === undefined ? {} : { hint: `Make one with: ${createCommand}` };
  if (backups.length === 0) throw new TidemarkError("not_found", "this addon has no backup", hint);
  const newest = backups.find((backup) => backup.status === "done");
  if (newest === undefined) {
    throw new TidemarkError("not_found", "get a successful backup: can't find any successful backup", hint);
  }
  output.status("Selected the most recent successful backup");
  return newest.id;
}

function archiveName(backup: Backup): string {
  if (backup.status === "done" && backup.name !== null) return `${backup.name}.tar.gz`;
  throw new TidemarkError("conflict", `Backup ${backup.id} can't be downloaded: its status is ${backup.status}`);
}

async function fetchInto(
  call: CommandCall,
  { source, backup, file }: { source: BackupSource; backup: Backup; file: DownloadTarget },
): Promise<{ sha256: string }> {
  const quiet = call.flag("silent") || call.json;
  const progress = quiet ? undefined : createProgressDisplay(call.streams.stderr, call.clock);
  try {
    return await downloadArchive({
      openLink: async () => {
        const path = route`/api/databases/${source.addon}/backups/${backup.id}/archive`;
        return (await source.api.get(path, archiveReply)).value.download_url;
      },
      userAgent: "Tidemark CLI",
      sizeBytes: backup.size,
      sink: file,
      clock: call.clock,
      signal: call.signal,
      onProgress: (done) => progress?.update(done),
    });
  } finally {
    progress?.finish();
  }
}

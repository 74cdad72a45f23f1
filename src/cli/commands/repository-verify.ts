import { type Verification, verifyRepository } from "../../restore/verify-repository.ts";
import type { CommandSpec } from "../command.ts";
import { OFFLINE_OPTIONS, openOfflineRepository } from "../offline-repository.ts";
import type { Output } from "../output.ts";
import { formatSizeSi } from "../size-text.ts";
import { snakeCaseNames } from "../snake-case.ts";

export const repositoryVerify: CommandSpec = {
  name: "repository verify",
  group: "Platform",
  summary: "Check that what a repository holds is whole, without a platform",
  details:
    "Compares sizes with manifests, and looks for holes in each base backup's write-ahead log. With --deep, reads and decrypts every byte and compares all " +
    "hashes. Ends with 1 when anything is wrong, and names each bad object and each hole.",
  options: [
    ...OFFLINE_OPTIONS,
    { flags: "--database <id>", summary: "One database alone, by its id in the repository" },
    { flags: "--deep", summary: "Read everything" },
  ],
  examples: ["repository verify", "repository verify --repository /mnt/repository --key /mnt/key --deep"],
  async run(call) {
    const { repository, unwrap } = await openOfflineRepository(call);
    const found = await verifyRepository(repository, {
      unwrap,
      isDeep: call.flag("deep"),
      databaseId: call.option("database"),
      signal: call.signal,
      onObject: ({ objects, storedBytes }) =>
        call.output.transient(`Checked: ${objects} objects, ${formatSizeSi(storedBytes)}`),
    });
    call.output.transient("");
    showVerification(call.output, found);
    call.output.json(snakeCaseNames(found));
    if (!found.isSound) call.endWith(1);
  },
};

function showVerification(output: Output, found: Verification): void {
  const { objects, storedBytes, databases, chains, badObjects, holes } = found;
  output.status(
    `Checked ${objects} objects with ${formatSizeSi(storedBytes)} of ${databases} databases, and the log of ${chains} base backups`,
  );
  for (const { message } of badObjects) output.warning(message);
  for (const { databaseId, timeline, from, to, cutBackups, lostBackups } of holes) {
    output.warning(`Write-ahead log of ${databaseId}, timeline ${timeline}, is missing from ${from} to ${to}`);
    if (lostBackups.length > 0) output.info(`Can't be restored for that: base backup ${lostBackups.join(", ")}`);
    if (cutBackups.length > 0) output.info(`Lead to the moment before it only: base backup ${cutBackups.join(", ")}`);
  }
  if (found.isSound) output.status("Everything is whole");
}

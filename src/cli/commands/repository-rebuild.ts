import type { CommandSpec } from "../command.ts";

export const repositoryRebuild: CommandSpec = {
  name: "repository rebuild",
  group: "Platform",
  summary: "Make the platform's index of backups from its repository, on the platform's own machine",
  examples: ["repository rebuild"],
  async run(call) {
    const rebuilt = await call.local.rebuildIndex({ signal: call.signal });
    const { databases, recovered, logicalBackups, baseBackups, unreadable } = rebuilt;
    call.output.status(
      `The repository holds ${databases} databases, ${logicalBackups} logical backups and ${baseBackups} base backups`,
    );
    for (const resourceId of recovered) call.output.info(`Recovered: ${resourceId}`);
    for (const what of unreadable) call.output.warning(`Can't be read: ${what}`);
    call.output.json({
      databases,
      recovered,
      logical_backups: logicalBackups,
      base_backups: baseBackups,
      unreadable,
    });
    if (unreadable.length > 0) call.endWith(1);
  },
};

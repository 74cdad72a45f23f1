import { isErrorCode, TidemarkError } from "../core/errors.ts";
import { askPatiently, POLL_INTERVAL_MS } from "./backup-wait.ts";
import type { CommandCall } from "./command.ts";
import type { DatabaseTarget } from "./database-target.ts";
import { createProgressDisplay } from "./progress-display.ts";
import { type AddonCopy, addonCopyReply, addonReply, newAddonCopyReply } from "./replies.ts";
import { route } from "./transport.ts";

export interface NewAddonWish {
  /** Of the new addon. */
  readonly name: string;
  /** As the command was given it. */
  readonly moment: string;
  readonly exclusive: boolean;
  readonly branch: number | null;
}

/**
 * Makes a new database of the target's app from its continuous backups, and waits until it runs unless `--detach` was given.
 *
 * @throws `restore_failed` when it could not be made
 */
export async function restoreToNewAddon(call: CommandCall, target: DatabaseTarget, wish: NewAddonWish): Promise<void> {
  const { client, app, addonId } = target;
  const { name, moment, exclusive, branch } = wish;
  const path = route`/v1/apps/${app}/addons/${addonId}/copies`;
  const created = await client.post(path, { copy: { name, target: moment, exclusive, branch } }, newAddonCopyReply);
  const { copy, addon, variables } = created.value;
  call.output.status(`Addon "${name}" is being made from ${target.reference} as of ${moment}`);
  call.output.info(`ID: ${addon.resource_id}`);
  call.output.info(`Modified variables: [${variables.join(" ")}]`);
  if (call.flag("detach")) {
    call.output.info(`See it with: tidemark --app ${app} addons`);
    return call.output.json(created.body);
  }
  await waitForCopy(call, target, copy.id);
  const running = await waitUntilRunning(call, target, addon.id);
  call.output.status(`Addon "${name}" is running`);
  call.output.json(running);
}

async function waitForCopy(call: CommandCall, { client, app }: DatabaseTarget, copyId: string): Promise<void> {
  const display = createProgressDisplay(call.streams.stderr, call.clock);
  try {
    for (;;) {
      const { value } = await askPatiently(call, () =>
        client.get(route`/v1/apps/${app}/copies/${copyId}`, addonCopyReply),
      );
      const { copy } = value;
      if (copy.status === "done") return;
      if (copy.status === "error") throw failure(copy);
      if (!call.json && copy.total_bytes !== null)
        display.update({ doneBytes: copy.progress_bytes, totalBytes: copy.total_bytes });
      await call.clock.sleep(POLL_INTERVAL_MS, call.signal);
    }
  } catch (error) {
    if (isErrorCode(error, "interrupted")) call.output.status("The new database is made all the same");
    throw error;
  } finally {
    display.finish();
  }
}

async function waitUntilRunning(call: CommandCall, { client, app }: DatabaseTarget, addonId: string): Promise<unknown> {
  try {
    for (;;) {
      const { value, body } = await askPatiently(call, () =>
        client.get(route`/v1/apps/${app}/addons/${addonId}`, addonReply),
      );
      if (value.addon.status !== "provisioning") return body;
      call.output.transient("Waiting for the database to run");
      await call.clock.sleep(POLL_INTERVAL_MS, call.signal);
    }
  } finally {
    call.output.transient("");
  }
}

function failure({ error }: AddonCopy): TidemarkError {
  const hint = error?.hint ?? null;
  return new TidemarkError("restore_failed", `The new database could not be made: ${error?.message ?? "no reason"}`, {
    ...(hint === null ? {} : { hint }),
    ...(error === null ? {} : { details: { operation_error: error.code } }),
  });
}

import { readFile } from "node:fs/promises";
import type { ServeConfig } from "../config.ts";
import type { ControlContext } from "../control/context.ts";
import { Notifications } from "../control/notifications.ts";
import { systemErrorCode, TidemarkError } from "../core/errors.ts";

/** Begins to tell people what happens, by the channels that the settings allow. The caller closes it. */
export async function openNotifications(
  { config, version }: { readonly config: ServeConfig; readonly version: string },
  context: ControlContext,
): Promise<Notifications> {
  return new Notifications(context, {
    publicUrl: config.publicUrl,
    outside: {
      mail: config.mail === null ? null : await readMail(config.mail),
      allowsPrivateTargets: config.notifiesPrivateTargets,
      userAgent: `Tidemark/${version}`,
    },
  });
}

async function readMail({ from, caFile, ...server }: NonNullable<ServeConfig["mail"]>) {
  return { from, server: { ...server, ca: caFile === null ? null : await readAuthority(caFile) } };
}

async function readAuthority(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    const reason = systemErrorCode(error) ?? String(error);
    throw new TidemarkError("config_invalid", `TIDEMARK_SMTP_CA: cannot read "${file}": ${reason}`, { cause: error });
  }
}

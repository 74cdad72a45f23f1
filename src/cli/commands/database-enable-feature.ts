import { TidemarkError } from "../../core/errors.ts";
import type { CommandCall, CommandSpec } from "../command.ts";
import { type DatabaseTarget, openDatabaseTarget } from "../database-target.ts";
import { featureReply } from "../database-replies.ts";
import { databaseReply } from "../replies.ts";
import { route } from "../transport.ts";

const POLL_INTERVAL_MS = 1000;
/** A server takes its settings up within a second; one that doesn't by then isn't running. */
const PENDING_WAIT_MAX_MS = 2 * 60_000;

export const databaseEnableFeature: CommandSpec = {
  name: "database-enable-feature",
  group: "Databases",
  summary: "Switch a feature of a database on",
  details:
    "force-ssl: connections over the network need TLS, and those without are cut. publicly-available: other machines may connect, where the platform's databases listen for them.",
  arguments: [{ name: "<feature>", summary: "force-ssl or publicly-available" }],
  options: [{ flags: "--synchronous", summary: "Wait until it is on" }],
  examples: ["--app my-app --addon postgresql database-enable-feature force-ssl"],
  async run(call) {
    const name = call.argument(0);
    const target = await openDatabaseTarget(call);
    const body = { feature: { name, status: "" } };
    const answer = await target.api.post(route`/api/databases/${target.addonId}/features`, body, featureReply);
    const { status, message } = answer.value;
    if (status === "PENDING" && call.flag("synchronous")) await waitUntilActive(call, target, name);
    if (status === "ACTIVATED" || call.flag("synchronous")) call.output.status(`Feature ${name} has been enabled`);
    else if (status === "PENDING") call.output.status(`Feature ${name} is being enabled`);
    else call.output.status(message);
    call.output.json(answer.body);
  },
};

async function waitUntilActive(call: CommandCall, { api, addonId }: DatabaseTarget, name: string): Promise<void> {
  const deadlineMs = call.clock.now().getTime() + PENDING_WAIT_MAX_MS;
  for (;;) {
    const { database } = (await api.get(route`/api/databases/${addonId}`, databaseReply)).value;
    if (database.features.some((feature) => feature.name === name && feature.status === "ACTIVATED")) return;
    if (call.clock.now().getTime() >= deadlineMs) {
      throw new TidemarkError("server_not_running", `The server has not taken up ${name} in two minutes`, {
        hint: "It does when it runs. See why it doesn't with: tidemark status",
      });
    }
    await call.clock.sleep(POLL_INTERVAL_MS, call.signal);
  }
}

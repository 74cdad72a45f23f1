import { TidemarkError } from "../../core/errors.ts";
import type { CommandSpec } from "../command.ts";
import { deliveriesReply, type Delivery, deliveryReply } from "../notifier-replies.ts";
import { route } from "../transport.ts";

const POLL_INTERVAL_MS = 500;
/** Longer than one attempt takes at the worst. */
const WAIT_TIMEOUT_MS = 120_000;

export const notifiersTest: CommandSpec = {
  name: "notifiers-test",
  group: "Apps",
  summary: "Send a test by a notifier, and wait until it arrived",
  arguments: [{ name: "<id>", summary: "As `notifiers` lists it" }],
  examples: ["--app my-app notifiers-test 69230c1fa7b8c9d0e1f2a3b4"],
  async run(call) {
    const client = await call.connect();
    const path = route`/v1/apps/${call.app()}/notifiers/${call.argument(0)}`;
    const asked = (await client.post(`${path}/test`, {}, deliveryReply)).value.delivery;
    const deadline = call.clock.now().getTime() + WAIT_TIMEOUT_MS;
    let found: Delivery | undefined;
    // The first attempt is enough to know: a failed one is tried again, but not for us.
    while (found === undefined || (found.status === "waiting" && found.reply === null)) {
      if (call.clock.now().getTime() > deadline) break;
      await call.clock.sleep(POLL_INTERVAL_MS, call.signal);
      const { value } = await client.get(`${path}/deliveries`, deliveriesReply);
      found = value.deliveries.find(({ id }) => id === asked.id);
    }
    if (found?.status !== "delivered")
      throw new TidemarkError("notification_failed", `The test did not arrive: ${found?.reply ?? "not sent yet"}`, {
        hint: `tidemark notifiers-deliveries ${call.argument(0)} shows how it goes on.`,
      });
    call.output.status(`The test has arrived (${found.reply ?? ""})`);
    call.output.json({ delivery: found });
  },
};

import { TidemarkError } from "../core/errors.ts";
import type { PlatformClient } from "./client.ts";
import type { CommandCall } from "./command.ts";
import { eventTypesReply, type Notifier } from "./notifier-replies.ts";

/** Options that adding and changing a notifier share. */
export const NOTIFIER_OPTIONS = [
  { flags: "--name <name>", summary: "What it is called" },
  { flags: "--enable", summary: "Send notifications" },
  { flags: "--disable", summary: "Send none for now" },
  {
    flags: "--send-all-events [choice]",
    summary: "Tell of everything that happens; with =false, of the chosen events",
  },
  { flags: "--event <name...>", summary: "Tell of this; several times for several. See `event-types`" },
  { flags: "--webhook-url <url>", summary: "Where to post: webhook, slack, rocket_chat" },
  { flags: "--email <address...>", summary: "Whom to write to" },
  { flags: "--user <id...>", summary: "Which users of the app to write to" },
] as const;

/** What the options ask for, as the API takes it; a field for each that was given. */
export async function readNotifierOptions(
  call: CommandCall,
  client: PlatformClient,
): Promise<Readonly<Record<string, unknown>>> {
  if (call.flag("enable") && call.flag("disable"))
    throw new TidemarkError("usage", "--enable and --disable contradict each other", { hint: "Give one of them." });
  const events = call.options("event");
  if (events.length > 0) await checkEvents(client, events);
  const url = call.option("webhook-url");
  const data = {
    ...(url === undefined ? {} : { webhook_url: url }),
    ...(call.options("email").length === 0 ? {} : { emails: call.options("email") }),
    ...(call.options("user").length === 0 ? {} : { user_ids: call.options("user") }),
  };
  const name = call.option("name");
  return {
    ...(name === undefined ? {} : { name }),
    ...(call.flag("enable") ? { active: true } : {}),
    ...(call.flag("disable") ? { active: false } : {}),
    ...readSendAll(call),
    ...(events.length === 0 ? {} : { selected_event_ids: events }),
    ...(Object.keys(data).length === 0 ? {} : { type_data: data }),
  };
}

function readSendAll(call: CommandCall): { send_all_events?: boolean } {
  const choice = call.option("send-all-events");
  if (choice === undefined) return call.flag("send-all-events") ? { send_all_events: true } : {};
  if (choice === "true" || choice === "false") return { send_all_events: choice === "true" };
  throw new TidemarkError("usage", `--send-all-events is "${choice}"`, { hint: "Give true or false." });
}

/** Said here, with the choices at hand, rather than as a refused field. */
async function checkEvents(client: PlatformClient, events: readonly string[]): Promise<void> {
  const { event_types: types } = (await client.get("/v1/event_types", eventTypesReply)).value;
  const known = new Set(types.map(({ name }) => name));
  const unknown = events.filter((event) => !known.has(event));
  if (unknown.length === 0) return;
  throw new TidemarkError("usage", `There is no event ${unknown.map((event) => `"${event}"`).join(", ")}`, {
    hint: "tidemark event-types lists them.",
  });
}

/** `All`, or the names. */
export function describeEvents({ send_all_events: all, selected_event_ids: selected }: Notifier): string {
  return all ? "All" : selected.join(", ");
}

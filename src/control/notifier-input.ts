import { TidemarkError } from "../core/errors.ts";
import { type EventType, isEventType } from "../core/event-types.ts";
import type { PlatformName } from "./notifier-schema.ts";
import type { NotifierChange } from "./notifier-service.ts";
import { isEmail } from "./user-input.ts";

const NAME_CHARACTERS_MAX = 100;
/** As many as one mail should have. */
const EMAILS_MAX = 20;
const USERS_MAX = 50;
const URL_CHARACTERS_MAX = 2048;

/** A change whose fields are known to be right for the platform. */
export type CheckedChange = Omit<NotifierChange, "selectedEvents"> & { readonly selectedEvents?: EventType[] };

/** Checks all fields at once; `invalid_fields` says every one that is wrong. Whether the users are the app's is not known here. */
export function readNotifierChange(change: NotifierChange, platform: PlatformName): CheckedChange {
  const fields: Record<string, string[]> = {};
  const refuse = (field: string, message: string): void => void (fields[field] ??= []).push(message);
  const { selectedEvents, ...rest } = change;
  const name = change.name?.trim();
  if (name !== undefined && (name === "" || name.length > NAME_CHARACTERS_MAX))
    refuse("name", `must be 1 to ${NAME_CHARACTERS_MAX} characters`);
  const unknown = selectedEvents?.filter((type) => !isEventType(type)) ?? [];
  if (unknown.length > 0) refuse("selected_event_ids", `has no such event: ${unknown.join(", ")}`);
  if (platform === "email") readRecipients(change, refuse);
  else if (change.webhookUrl !== undefined) readAddress(change.webhookUrl, refuse);
  if (Object.keys(fields).length > 0)
    throw new TidemarkError("invalid_fields", "The notifier can't be set up like this", { fields });
  return {
    ...rest,
    ...(name === undefined ? {} : { name }),
    ...(selectedEvents === undefined ? {} : { selectedEvents: [...new Set(selectedEvents.filter(isEventType))] }),
  };
}

/** `invalid_fields` for a platform that there isn't. */
export function readPlatform(word: string): PlatformName {
  if (word === "email" || word === "webhook" || word === "slack" || word === "rocket_chat") return word;
  throw new TidemarkError("invalid_fields", `There is no notification platform "${word}"`, {
    fields: { platform_id: ["must be email, webhook, slack or rocket_chat"] },
  });
}

function readRecipients(change: NotifierChange, refuse: (field: string, message: string) => void): void {
  const { emails = [], userIds = [] } = change;
  for (const email of emails) if (!isEmail(email)) refuse("emails", `"${email}" is not an e-mail address`);
  if (emails.length > EMAILS_MAX) refuse("emails", `must be ${EMAILS_MAX} at most`);
  if (userIds.length > USERS_MAX) refuse("user_ids", `must be ${USERS_MAX} at most`);
}

function readAddress(address: string, refuse: (field: string, message: string) => void): void {
  const url = URL.canParse(address) ? new URL(address) : undefined;
  if (url === undefined || (url.protocol !== "https:" && url.protocol !== "http:"))
    refuse("webhook_url", "must be an address that begins with https:// or http://");
  if (address.length > URL_CHARACTERS_MAX) refuse("webhook_url", `must have at most ${URL_CHARACTERS_MAX} characters`);
}

import { TidemarkError } from "../core/errors.ts";
import { type ChatKind, deliverToChat } from "./chat.ts";
import { type MailServer, sendMail } from "./email.ts";
import type { Notice } from "./notice.ts";
import { deliverToWebhook } from "./webhook.ts";

/** Where a notice goes. Addresses and secrets of the last three are secrets of their user. */
export type Channel =
  | { readonly type: "email"; readonly recipients: readonly string[] }
  | { readonly type: "webhook"; readonly url: string; readonly signingSecret: string }
  | { readonly type: ChatKind; readonly url: string };

/** What the platform's operator has set for all channels. */
export interface Outside {
  /** Null: this platform sends no mail. */
  readonly mail: { readonly server: MailServer; readonly from: string } | null;
  /** Whether a user's address may lie inside this machine or a private network. */
  readonly allowsPrivateTargets: boolean;
  /** `Tidemark/0.1.0` */
  readonly userAgent: string;
}

/**
 * Delivers once. Resolves with what the other side said, for the delivery log.
 *
 * @throws `notification_failed` when trying again can help, `notification_refused` when it can't; the signal's reason when it aborts.
 */
export async function deliver(
  notice: Notice,
  channel: Channel,
  call: { readonly outside: Outside; readonly at: Date; readonly signal: AbortSignal },
): Promise<string> {
  const { outside, at, signal } = call;
  if (channel.type === "email") return await deliverByMail(notice, channel.recipients, call);
  const webCall = {
    at,
    signal,
    userAgent: outside.userAgent,
    allowsPrivateTargets: outside.allowsPrivateTargets,
  };
  const status =
    channel.type === "webhook"
      ? await deliverToWebhook(notice, channel, webCall)
      : await deliverToChat(notice, { kind: channel.type, url: channel.url }, webCall);
  return `HTTP ${status}`;
}

async function deliverByMail(
  notice: Notice,
  recipients: readonly string[],
  { outside, signal }: { readonly outside: Outside; readonly signal: AbortSignal },
): Promise<string> {
  if (outside.mail === null)
    throw new TidemarkError("notification_refused", "This platform has no mail server, so no e-mail was sent", {
      hint: "The operator sets one with TIDEMARK_SMTP_URL and TIDEMARK_MAIL_FROM.",
    });
  if (recipients.length === 0)
    throw new TidemarkError("notification_refused", "The notifier has no recipient left", {
      hint: "Give it one: tidemark notifiers-update ID --email ADDRESS.",
    });
  return await sendMail(notice, { ...outside.mail, to: recipients }, signal);
}

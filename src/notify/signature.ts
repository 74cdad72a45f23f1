import { createHmac } from "node:crypto";

/** Beginning of a signing secret's text; base64 of its bytes follows. */
export const SIGNING_SECRET_PREFIX = "whsec_";

/**
 * Headers that prove where a webhook's body comes from, as the Standard Webhooks specification has them: HMAC-SHA-256 over
 * `id.timestamp.body`, so that neither the body nor an old request can be used by somebody else.
 *
 * @param secret `whsec_` and base64
 */
export function signatureHeaders(
  message: { readonly id: string; readonly body: string; readonly at: Date },
  secret: string,
): Record<string, string> {
  const timestamp = Math.floor(message.at.getTime() / 1000).toString();
  const key = Buffer.from(secret.slice(SIGNING_SECRET_PREFIX.length), "base64");
  const signature = createHmac("sha256", key).update(`${message.id}.${timestamp}.${message.body}`).digest("base64");
  return { "webhook-id": message.id, "webhook-timestamp": timestamp, "webhook-signature": `v1,${signature}` };
}

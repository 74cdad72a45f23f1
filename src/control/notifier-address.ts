import { randomBytes } from "node:crypto";
import { z } from "zod";
import { SIGNING_SECRET_PREFIX } from "../notify/signature.ts";
import { type Secrets, unwrapText } from "./context.ts";

/** What is wrapped: whoever knows it can post in the user's name. */
const address = z.object({ url: z.string(), signingSecret: z.string() });
export type NotifierAddress = z.infer<typeof address>;

/** As long as the hash of the signature. */
const SIGNING_SECRET_BYTES = 32;
/** What stays visible, so that two addresses of one host can be told apart. */
const SHOWN_CHARACTERS = 4;

export function newSigningSecret(): string {
  return SIGNING_SECRET_PREFIX + randomBytes(SIGNING_SECRET_BYTES).toString("base64");
}

export async function wrapAddress(secrets: Secrets, plain: NotifierAddress): Promise<Buffer> {
  return await secrets.wrap(Buffer.from(JSON.stringify(plain)));
}

export async function unwrapAddress(secrets: Secrets, wrapped: Uint8Array): Promise<NotifierAddress> {
  return address.parse(JSON.parse(await unwrapText(secrets, wrapped, "address of a notifier")));
}

/** Scheme and host, and the last characters if there are many more. */
export function maskAddress(url: string): string {
  const { origin } = new URL(url);
  const rest = url.length - origin.length;
  return `${origin}/…${rest > 4 * SHOWN_CHARACTERS ? url.slice(-SHOWN_CHARACTERS) : ""}`;
}

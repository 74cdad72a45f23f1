import { createTransport } from "nodemailer";
import type SMTPTransport from "nodemailer/lib/smtp-transport/index.js";
import { TidemarkError } from "../core/errors.ts";
import { type Notice, noticeText } from "./notice.ts";

const CONNECT_TIMEOUT_MS = 10_000;
/** Between two packets; servers that check content answer late. */
const SILENCE_TIMEOUT_MS = 30_000;
/** Of what the server said, in an error. */
const REPLY_CHARS_MAX = 200;

export interface MailServer {
  readonly host: string;
  readonly port: number;
  /** TLS from the first byte, as on port 465; otherwise STARTTLS where the server has it. */
  readonly isTlsFromStart: boolean;
  /** Refuse to go on without TLS. */
  readonly needsTls: boolean;
  readonly login: { readonly user: string; readonly password: string } | null;
  /** PEM of the authority that signed the server's certificate, if it is not a public one. */
  readonly ca: string | null;
}

/**
 * Sends the notice as one mail to all recipients. Resolves with the server's last reply, and names recipients that it refused while it took others.
 *
 * @throws `notification_failed` when trying again can help, `notification_refused` for a login or a message that the server refuses.
 */
export async function sendMail(
  notice: Notice,
  mail: { readonly server: MailServer; readonly from: string; readonly to: readonly string[] },
  signal: AbortSignal,
): Promise<string> {
  signal.throwIfAborted();
  const transport = createTransport(transportOptions(mail.server));
  const onAbort = (): void => transport.close();
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    const sent = await transport.sendMail({
      from: mail.from,
      to: [...mail.to],
      subject: notice.title,
      text: noticeText(notice),
      messageId: `<${notice.id}@${new URL(notice.link).hostname}>`,
      // Keeps vacation replies away.
      headers: { "Auto-Submitted": "auto-generated" },
    });
    const refused = sent.rejected.length === 0 ? "" : `; refused for ${sent.rejected.map(String).join(", ")}`;
    return `${cutReply(sent.response)}${refused}`;
  } catch (error) {
    signal.throwIfAborted();
    throw mailFailure(error, mail.server);
  } finally {
    signal.removeEventListener("abort", onAbort);
    transport.close();
  }
}

function transportOptions(server: MailServer): SMTPTransport.Options {
  return {
    host: server.host,
    port: server.port,
    secure: server.isTlsFromStart,
    requireTLS: server.needsTls && !server.isTlsFromStart,
    connectionTimeout: CONNECT_TIMEOUT_MS,
    greetingTimeout: CONNECT_TIMEOUT_MS,
    socketTimeout: SILENCE_TIMEOUT_MS,
    // A notice is text: nothing in it may make the library read a file or an address.
    disableFileAccess: true,
    disableUrlAccess: true,
    ...(server.login === null ? {} : { auth: { user: server.login.user, pass: server.login.password } }),
    ...(server.ca === null ? {} : { tls: { ca: server.ca } }),
  };
}

/** By the reply's class (RFC 5321, 4.2.1): 5 is final, 4 and everything about the connection may pass. */
function mailFailure(error: unknown, server: MailServer): TidemarkError {
  const { code, responseCode, response } = readSmtpError(error);
  const said = response === undefined ? (error instanceof Error ? error.message : String(error)) : response;
  const message = `The mail server "${server.host}" did not take the message: ${cutReply(said)}`;
  if (code === "EAUTH" || (responseCode ?? 0) >= 500) {
    const hint = code === "EAUTH" ? "Look at user and password in TIDEMARK_SMTP_URL." : undefined;
    return new TidemarkError("notification_refused", message, hint === undefined ? {} : { hint });
  }
  return new TidemarkError("notification_failed", message);
}

function readSmtpError(error: unknown): {
  readonly code?: unknown;
  readonly responseCode?: number;
  readonly response?: string;
} {
  if (typeof error !== "object" || error === null) return {};
  return {
    ...("code" in error ? { code: error.code } : {}),
    ...("responseCode" in error && typeof error.responseCode === "number" ? { responseCode: error.responseCode } : {}),
    ...("response" in error && typeof error.response === "string" ? { response: error.response } : {}),
  };
}

function cutReply(text: string): string {
  return text.replaceAll(/\s+/g, " ").slice(0, REPLY_CHARS_MAX);
}

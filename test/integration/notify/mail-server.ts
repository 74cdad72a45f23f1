import "reflect-metadata";
import { createPrivateKey } from "node:crypto";
import type { AddressInfo } from "node:net";
import { SubjectAlternativeNameExtension, X509CertificateGenerator } from "@peculiar/x509";
import { SMTPServer } from "smtp-server";
import type { MailServer } from "../../../src/notify/email.ts";

export interface ReceivedMail {
  readonly from: string;
  readonly to: readonly string[];
  readonly text: string;
  readonly isEncrypted: boolean;
}

/** A real SMTP server with STARTTLS and one account, `mailer` / `mail-password`; refuses recipients that begin with `nobody`. */
export async function startMailServer(): Promise<{
  readonly server: MailServer;
  readonly received: readonly ReceivedMail[];
  close(): Promise<void>;
}> {
  const { certificate, key } = await selfSigned();
  const received: ReceivedMail[] = [];
  const smtp = new SMTPServer({
    cert: certificate,
    key,
    onAuth({ username, password }, _session, done) {
      if (username === "mailer" && password === "mail-password") done(null, { user: username });
      else done(new Error("Invalid username or password"));
    },
    onRcptTo({ address }, _session, done) {
      if (!address.startsWith("nobody")) return done();
      done(Object.assign(new Error("No such user here"), { responseCode: 550 }));
    },
    onData(stream, session, done) {
      const chunks: Buffer[] = [];
      stream.on("data", (chunk: Buffer) => chunks.push(chunk));
      stream.on("end", () => {
        const { mailFrom, rcptTo } = session.envelope;
        received.push({
          from: mailFrom === false ? "" : mailFrom.address,
          to: rcptTo.map(({ address }) => address),
          text: Buffer.concat(chunks).toString("utf8"),
          isEncrypted: session.secure,
        });
        done();
      });
    },
  });
  smtp.on("error", () => undefined); // a client that breaks off is part of the tests
  await new Promise<void>((resolve) => smtp.listen(0, "127.0.0.1", () => resolve()));
  const { port } = smtp.server.address() as AddressInfo; // it listens on TCP
  const login = { user: "mailer", password: "mail-password" };
  return {
    server: { host: "127.0.0.1", port, isTlsFromStart: false, needsTls: true, login, ca: certificate },
    received,
    close: () => new Promise((resolve) => smtp.close(() => resolve())),
  };
}

async function selfSigned(): Promise<{ certificate: string; key: string }> {
  const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
  const keys = await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  const certificate = await X509CertificateGenerator.createSelfSigned({
    name: "CN=127.0.0.1",
    notBefore: new Date("2020-01-01T00:00:00Z"),
    notAfter: new Date("2100-01-01T00:00:00Z"),
    keys,
    signingAlgorithm: algorithm,
    extensions: [new SubjectAlternativeNameExtension([{ type: "ip", value: "127.0.0.1" }])],
  });
  const der = Buffer.from(await crypto.subtle.exportKey("pkcs8", keys.privateKey));
  const key = createPrivateKey({ key: der, format: "der", type: "pkcs8" }).export({ format: "pem", type: "pkcs8" });
  return { certificate: certificate.toString("pem"), key };
}

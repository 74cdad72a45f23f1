// The certificate library finds its parts through this polyfill, which must come first.
import "reflect-metadata";
import assert from "node:assert/strict";
import { webcrypto } from "node:crypto";
import { once } from "node:events";
import { get } from "node:https";
import { text } from "node:stream/consumers";
import { test } from "node:test";
import { SubjectAlternativeNameExtension, X509CertificateGenerator } from "@peculiar/x509";
import { pick } from "../harness/pick.ts";
import { openFace } from "./open-face.ts";

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };

async function makeCertificate(): Promise<{ cert: string; key: string }> {
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
  const certificate = await X509CertificateGenerator.createSelfSigned({
    name: "CN=127.0.0.1",
    keys,
    signingAlgorithm: ALGORITHM,
    extensions: [new SubjectAlternativeNameExtension([{ type: "ip", value: "127.0.0.1" }])],
  });
  const key = Buffer.from(await webcrypto.subtle.exportKey("pkcs8", keys.privateKey)).toString("base64");
  const marker = (word: string): string => `-----${word} PRIVATE KEY-----`;
  return { cert: certificate.toString("pem"), key: `${marker("BEGIN")}\n${key}\n${marker("END")}\n` };
}

test("createHttpServer() with a certificate speaks TLS, and drains the same", async (t) => {
  const tls = await makeCertificate();
  const face = await openFace(t, { tls });
  const [response] = await once(get(`${face.url}/healthz`, { ca: tls.cert }), "response");
  assert.equal(response.statusCode, 200);
  assert.equal(pick(JSON.parse(await text(response)), "status"), "ready");
  await face.server.close();
});

test("createHttpServer() refuses a certificate with the key of another", async (t) => {
  const [one, other] = await Promise.all([makeCertificate(), makeCertificate()]);
  await assert.rejects(openFace(t, { tls: { cert: one.cert, key: other.key } }), { code: "config_invalid" });
});

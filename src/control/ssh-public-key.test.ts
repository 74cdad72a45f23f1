import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { test } from "node:test";
import ssh2 from "ssh2";
import { isErrorCode } from "../core/errors.ts";
import { sshFingerprint } from "../core/ssh-fingerprint.ts";
import { newSshPublicKey } from "../../test/harness/ssh-public-key.ts";
import { readSshPublicKey } from "./ssh-public-key.ts";

const { generateKeyPairSync: generateSshKey } = ssh2.utils;

test("readSshPublicKey() takes Ed25519, ECDSA and long RSA, keeps the comment, and names the key as OpenSSH does", () => {
  const lines = [
    newSshPublicKey("alice@laptop"),
    generateSshKey("ecdsa", { bits: 256, comment: "alice's other one" }).public,
    generateSshKey("ecdsa", { bits: 521 }).public,
    generateSshKey("rsa", { bits: 2048, comment: "old" }).public,
  ];
  for (const line of lines) {
    const read = readSshPublicKey(`${line}\n`);
    assert.equal(read.content, line.trim());
    assert.equal(read.fingerprint, sshFingerprint(Buffer.from(line.split(" ")[1] ?? "", "base64")));
  }
});

test("readSshPublicKey() says why it refuses a short RSA key, a private key, and what is no key", () => {
  const ed25519 = newSshPublicKey("x");
  const { private: secret } = generateSshKey("ecdsa", { bits: 256 });
  const body = ed25519.split(" ")[1] ?? "";
  const pem = generateKeyPairSync("ed25519").publicKey.export({ type: "spki", format: "pem" });
  const cases: readonly (readonly [string, RegExp])[] = [
    [generateSshKey("rsa", { bits: 1024 }).public, /RSA key of 1024 bits/],
    [secret, /private key/],
    [pem, /one line/],
    [`${ed25519}\n${ed25519}`, /one line/],
    ["", /OpenSSH's format/],
    ["ssh-ed25519", /OpenSSH's format/],
    [`ssh-rsa ${body}`, /OpenSSH's format/],
    [`ssh-ed25519 ${body.slice(0, -8)}`, /OpenSSH's format/],
    [`ssh-ed25519 ${"A".repeat(20_000)}`, /one line/],
    [`command="rm" ${ed25519}`, /OpenSSH's format/],
    ["ssh-dss AAAAB3NzaC1kc3MAAACBAP", /OpenSSH's format/],
    [`${ed25519} \u001b[31m`, /one line/],
  ];
  for (const [content, message] of cases) {
    assert.throws(
      () => readSshPublicKey(content),
      (error) => isErrorCode(error, "invalid_fields") && message.test(error.fields?.["content"]?.[0] ?? ""),
      content.slice(0, 40),
    );
  }
});

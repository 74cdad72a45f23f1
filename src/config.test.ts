import assert from "node:assert/strict";
import { test } from "node:test";
import { isErrorCode } from "./core/errors.ts";
import { readServeConfig } from "./config.ts";

test("readServeConfig() has the documented defaults, and counts an empty variable as unset", () => {
  const config = readServeConfig({ TIDEMARK_HOME: "/srv/tide", TIDEMARK_BIND: "" });
  assert.equal(config.httpPort, 8420);
  assert.equal(config.bind, "127.0.0.1");
  assert.equal(config.publicUrl, "http://127.0.0.1:8420");
  assert.equal(config.repositoryFolder, "/srv/tide/repository");
  assert.deepEqual(config.databasePorts, { first: 15_432, last: 16_431 });
  assert.equal(config.sample, true);
  assert.equal(config.baseBackupRateBytes, null);
  assert.equal(config.walPieceIntervalMs, 1000);
});

test("readServeConfig() names the variable that is wrong, and never repeats a connection URI", () => {
  const cases: [Record<string, string>, RegExp][] = [
    [{ TIDEMARK_HTTP_PORT: "70000" }, /TIDEMARK_HTTP_PORT is "70000"/],
    [{ TIDEMARK_DATABASE_PORTS: "20-10" }, /TIDEMARK_DATABASE_PORTS is "20-10".*above/],
    [{ TIDEMARK_BASE_BACKUP_RATE: "0" }, /TIDEMARK_BASE_BACKUP_RATE is "0"/],
    [{ TIDEMARK_WAL_INTERVAL: "soon" }, /TIDEMARK_WAL_INTERVAL is "soon"/],
    [{ TIDEMARK_SAMPLE: "yes" }, /TIDEMARK_SAMPLE is "yes"/],
    [{ TIDEMARK_PUBLIC_URL: "backups.example.com" }, /TIDEMARK_PUBLIC_URL is/],
    [{ TIDEMARK_HOME: "relative/path" }, /not an absolute path/],
    [{ TIDEMARK_DATABASE_URL: "mysql://u:hunter2@h/d" }, /^TIDEMARK_DATABASE_URL: give a URI/],
    [{ TIDEMARK_TLS_CERT: "/c.pem" }, /belong together/],
    [{ TIDEMARK_SMTP_URL: "http://u:hunter2@h" }, /^TIDEMARK_SMTP_URL: give smtp/],
    [{ TIDEMARK_SMTP_URL: "smtp://u:hunter2%zz@h" }, /^TIDEMARK_SMTP_URL: in a password/],
    [{ TIDEMARK_SMTP_URL: "smtp://u:hunter2@h" }, /TIDEMARK_MAIL_FROM is not/],
    [{ TIDEMARK_MAIL_FROM: "a@b\r\nBcc: c@d" }, /TIDEMARK_MAIL_FROM/],
  ];
  for (const [environment, message] of cases) {
    assert.throws(
      () => readServeConfig(environment),
      (error) => isErrorCode(error, "config_invalid") && message.test(error.message),
    );
  }
});

test("readServeConfig() refuses plain HTTP on an address that other machines reach", () => {
  assert.throws(
    () => readServeConfig({ TIDEMARK_BIND: "0.0.0.0" }),
    (error) => isErrorCode(error, "config_invalid"),
  );
  assert.equal(readServeConfig({ TIDEMARK_BIND: "0.0.0.0", TIDEMARK_BEHIND_PROXY: "1" }).bind, "0.0.0.0");
  const tls = readServeConfig({ TIDEMARK_BIND: "0.0.0.0", TIDEMARK_TLS_CERT: "/c", TIDEMARK_TLS_KEY: "/k" });
  assert.equal(tls.publicUrl, "https://127.0.0.1:8420");
});

test("readServeConfig() reads a mail server, and asks for TLS where a password would leave the machine", () => {
  const mailOf = (url: string) =>
    readServeConfig({ TIDEMARK_SMTP_URL: url, TIDEMARK_MAIL_FROM: "Tidemark <t@example.com>" }).mail;
  assert.deepEqual(mailOf("smtp://user:p%40ss@mail.example.com"), {
    host: "mail.example.com",
    port: 587,
    isTlsFromStart: false,
    needsTls: true,
    login: { user: "user", password: "p@ss" },
    caFile: null,
    from: "Tidemark <t@example.com>",
  });
  assert.deepEqual(mailOf("smtps://mail.example.com/")?.port, 465);
  assert.deepEqual(mailOf("smtp://127.0.0.1:2525")?.needsTls, false);
  assert.deepEqual(mailOf("smtp://u:p@127.0.0.1:2525")?.needsTls, false);
  assert.equal(readServeConfig({}).mail, null);
});

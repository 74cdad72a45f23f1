import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { after, test } from "node:test";
import { isErrorCode } from "../../../src/core/errors.ts";
import { type Channel, deliver, type Outside } from "../../../src/notify/channel.ts";
import type { Notice } from "../../../src/notify/notice.ts";
import { startMailServer } from "./mail-server.ts";
import { startWebServer } from "./web-server.ts";

const SECRET_BYTES = Buffer.from("a secret of twenty-four b");
const SIGNING_SECRET = `whsec_${SECRET_BYTES.toString("base64")}`;
const AT = new Date("2026-11-22T14:00:00.500Z");
const NOTICE: Notice = {
  id: "0193512a0000aaaaaaaaaaaa",
  type: "database_backup_failed",
  tone: "bad",
  title: "Periodic backup of my_app_4553 failed",
  facts: [
    { label: "Database", value: "my_app_4553" },
    { label: "Error", value: "nothing answers; naïve façade" },
  ],
  nextStep: "Run tidemark status",
  link: "https://backups.example.com/apps/my-app",
  event: { id: "0193512a0000aaaaaaaaaaaa", type: "database_backup_failed" },
};

const mail = await startMailServer();
after(() => mail.close());
const web = await startWebServer((post, response) => {
  if (post.path === "/hangs") return;
  if (post.path === "/cut") return void response.destroy();
  if (post.path === "/redirects") return void response.writeHead(302, { location: "/moved" }).end();
  if (post.path === "/endless") {
    response.writeHead(200);
    const flood = (): void => void response.write(Buffer.alloc(65_536), (error) => void (error ?? flood()));
    return flood();
  }
  response.writeHead(Number(post.path.slice(1)) || 200).end("ok");
});
after(() => web.close());

const OUTSIDE: Outside = {
  mail: { server: mail.server, from: "Tidemark <backups@example.com>" },
  allowsPrivateTargets: true,
  userAgent: "Tidemark/test",
};

function send(channel: Channel, outside: Partial<Outside> = {}, signal = AbortSignal.timeout(60_000)): Promise<string> {
  return deliver(NOTICE, channel, { outside: { ...OUTSIDE, ...outside }, at: AT, signal });
}

const webhook = (path: string): Channel => ({ type: "webhook", url: web.url + path, signingSecret: SIGNING_SECRET });

async function refusedAs(
  code: "notification_failed" | "notification_refused",
  sending: Promise<string>,
): Promise<void> {
  await assert.rejects(sending, (error) => {
    assert.ok(isErrorCode(error, code), String(error));
    return true;
  });
}

test("deliver() posts the event to a webhook with a signature that its reader can check", async () => {
  assert.equal(await send(webhook("/hook")), "HTTP 200");
  const post = web.received.findLast(({ path }) => path === "/hook");
  assert.ok(post !== undefined);
  assert.deepEqual(JSON.parse(post.body), NOTICE.event);
  const { "webhook-id": id, "webhook-timestamp": timestamp, "webhook-signature": signature } = post.headers;
  assert.equal(id, NOTICE.id);
  assert.equal(timestamp, "1795356000");
  const expected = createHmac("sha256", SECRET_BYTES).update(`${id}.${timestamp}.${post.body}`).digest("base64");
  assert.equal(signature, `v1,${expected}`);
  assert.equal(post.headers["user-agent"], "Tidemark/test");
});

test("deliver() tells what may pass from what won't", async () => {
  for (const path of ["/500", "/503", "/429", "/408", "/cut"])
    await refusedAs("notification_failed", send(webhook(path)));
  for (const path of ["/400", "/401", "/404", "/410"]) await refusedAs("notification_refused", send(webhook(path)));
  await refusedAs("notification_failed", send({ type: "slack", url: "http://127.0.0.1:1/x" }));
});

test("deliver() follows no redirect and reads no answer", async () => {
  await refusedAs("notification_refused", send(webhook("/redirects")));
  assert.equal(web.received.filter(({ path }) => path === "/moved").length, 0);
  assert.equal(await send(webhook("/endless")), "HTTP 200");
});

test("deliver() ends with the signal's reason while the other side says nothing", async () => {
  const stop = new AbortController();
  const reason = new Error("stopping");
  const sending = send(webhook("/hangs"), {}, stop.signal);
  setImmediate(() => stop.abort(reason));
  await assert.rejects(sending, (error) => error === reason);
});

test("deliver() refuses an address of this machine unless the operator allowed it", async () => {
  const before = web.received.length;
  await refusedAs("notification_refused", send(webhook("/hook"), { allowsPrivateTargets: false }));
  assert.equal(web.received.length, before);
});

test("deliver() posts to Slack and Rocket.Chat", async () => {
  for (const type of ["slack", "rocket_chat"] as const) {
    assert.equal(await send({ type, url: `${web.url}/${type}` }), "HTTP 200");
    const post = web.received.findLast(({ path }) => path === `/${type}`);
    assert.match(post?.body ?? "", /Periodic backup of my_app_4553 failed/);
  }
});

test("deliver() sends mail over TLS with a login", async () => {
  const reply = await send({ type: "email", recipients: ["ann@example.com", "ben@example.com"] });
  assert.match(reply, /^250 /);
  const received = mail.received.at(-1);
  assert.ok(received !== undefined);
  assert.equal(received.isEncrypted, true);
  assert.equal(received.from, "backups@example.com");
  assert.deepEqual(received.to, ["ann@example.com", "ben@example.com"]);
  assert.match(received.text, /^Subject: Periodic backup of my_app_4553 failed\r$/m);
  assert.match(received.text, /^Message-ID: <0193512a0000aaaaaaaaaaaa@backups\.example\.com>\r$/m);
  assert.match(received.text, /Run tidemark status/);
});

test("deliver() names the recipients that a mail server refused, and fails when it took none", async () => {
  const reply = await send({ type: "email", recipients: ["ann@example.com", "nobody@example.com"] });
  assert.match(reply, /refused for nobody@example\.com/);
  await refusedAs("notification_refused", send({ type: "email", recipients: ["nobody@example.com"] }));
});

test("deliver() sends no mail in clear, with a wrong login, without a server or without a recipient", async () => {
  const channel: Channel = { type: "email", recipients: ["ann@example.com"] };
  const before = mail.received.length;
  const withServer = (change: Partial<typeof mail.server>): Partial<Outside> => ({
    mail: { from: "backups@example.com", server: { ...mail.server, ...change } },
  });
  await refusedAs("notification_failed", send(channel, withServer({ ca: null })));
  const wrongLogin = send(channel, withServer({ login: { user: "mailer", password: "wrong-password" } }));
  await assert.rejects(wrongLogin, (error) => {
    assert.ok(isErrorCode(error, "notification_refused"));
    assert.ok(!`${error.message}${error.hint ?? ""}`.includes("wrong-password"));
    return true;
  });
  await refusedAs("notification_refused", send(channel, { mail: null }));
  await refusedAs("notification_refused", send({ type: "email", recipients: [] }));
  await refusedAs("notification_failed", send(channel, withServer({ port: 1 })));
  assert.equal(mail.received.length, before);
});

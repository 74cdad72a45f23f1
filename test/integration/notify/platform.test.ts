import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, test } from "node:test";
import { startPlatform } from "../../harness/platform.ts";
import { makeTempFolder } from "../../harness/temp-folder.ts";
import { startMailServer } from "./mail-server.ts";
import { startWebServer } from "./web-server.ts";

const SECRET_PART = "a-secret-part-of-the-address";

const web = await startWebServer((_post, response) => void response.end());
after(() => web.close());
const mail = await startMailServer();
after(() => mail.close());
const { ca, port } = mail.server;
const caFile = join(await makeTempFolder({ after }), "ca.pem");
await writeFile(caFile, ca ?? "");
const platform = await startPlatform(
  { after },
  {
    environment: {
      TIDEMARK_NOTIFY_PRIVATE: "1",
      TIDEMARK_SMTP_URL: `smtp://mailer:mail-password@127.0.0.1:${port}`,
      TIDEMARK_SMTP_CA: caFile,
      TIDEMARK_MAIL_FROM: "backups@example.com",
    },
  },
);
await platform.runOk(["create", "shop"]);

const shop = (argv: readonly string[]): Promise<string> => platform.runOk(["--app", "shop", ...argv]);

test("notifiers are added, tried, changed and removed at the command line, and their secrets are shown to nobody", async () => {
  const url = `${web.url}/${SECRET_PART}`;
  const added = await shop([
    "notifiers-add",
    "--platform",
    "webhook",
    "--name",
    "hook",
    "--webhook-url",
    url,
    "--send-all-events",
  ]);
  assert.match(added, /-----> Notifier has been created\.\n {7}ID: [0-9a-f]{24}\n {7}Signing secret: whsec_/);
  const id = /ID: ([0-9a-f]{24})/.exec(added)?.[1] ?? "";
  const email = ["--email", "team@example.com", "--event", "database_backup_succeeded"];
  await shop(["notifiers-add", "--platform", "email", "--name", "team", ...email]);

  assert.match(await shop(["notifiers-test", id]), /-----> The test has arrived \(HTTP 200\)/);
  assert.ok(web.received.some(({ path, body }) => path === `/${SECRET_PART}` && body.includes('"test"')));
  const listed = await shop(["notifiers"]);
  assert.match(listed, /\| email +\| Default notifier +\| true +\| false +\| database_backup_failed, /);
  assert.match(listed, /\| webhook +\| hook +\| true +\| true +\| All +\|/);
  assert.match(await shop(["notifiers-deliveries", id]), /\| test +\| delivered +\| 1 +\| HTTP 200 +\|/);

  assert.equal(await shop(["notifiers-update", id, "--disable", "--name", "off"]), "-----> Notifier updated\n");
  const details = await shop(["notifiers-details", id]);
  assert.match(details, /\| Name +\| off +\|\n\| Enabled +\| false +\|/);
  assert.ok(!`${listed}${details}`.includes("secret-part"));
  assert.equal(await shop(["notifiers-remove", id, "--force"]), `-----> Notifier ${id} has been destroyed\n`);
  const gone = await platform.run(["--app", "shop", "notifiers-details", id]);
  assert.deepEqual([gone.exitCode, gone.stdout], [1, ""]);

  const misspelt = await platform.run([
    "--app",
    "shop",
    "notifiers-add",
    "--platform",
    "email",
    "--name",
    "x",
    "--event",
    "nope",
  ]);
  assert.equal(misspelt.exitCode, 2);
  assert.match(misspelt.stderr, /There is no event "nope"/);
});

test("a mail tells of what happens on a real platform", async () => {
  await shop([
    "notifiers-add",
    "--platform",
    "email",
    "--name",
    "all",
    "--email",
    "all@example.com",
    "--send-all-events",
  ]);
  await shop(["addons-add", "postgresql", "postgresql-starter-512", "--wait"]);
  const deadline = Date.now() + 60_000;
  const told = (): string =>
    mail.received
      .filter(({ to }) => to.includes("all@example.com"))
      .map(({ text }) => text)
      .join();
  while (!told().includes("added with plan")) {
    assert.ok(Date.now() < deadline, told());
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  const output = await platform.output();
  assert.ok(!output.includes("mail-password"));
});

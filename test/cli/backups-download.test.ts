import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdir, readdir, readFile, stat, symlink, writeFile } from "node:fs/promises";
import { createServer, type RequestListener, type ServerResponse } from "node:http";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import type { BackupService } from "../../src/control/services.ts";
import { makeTempFolder } from "../harness/temp-folder.ts";
import { ARCHIVE, BACKUP, BACKUP_ID, inMemoryServices, SIGNATURE } from "../http/in-memory-services.ts";
import { openFace } from "../http/open-face.ts";
import { asAlice, type CliRun, type CliSetting, instantClock, runCli } from "./run-cli.ts";

const NAME = `${BACKUP.name}.tar.gz`;
const ETAG = `"${createHash("sha256").update(ARCHIVE).digest("hex")}"`;
const HALF = 123_456;

interface Site {
  readonly folder: string;
  /** How many bytes were asked for from where: `""` for a whole download, else the Range header. */
  readonly ranges: string[];
  download(argv?: readonly string[], setting?: CliSetting): Promise<CliRun>;
  files(): Promise<string[]>;
}

/** A platform whose archives come from `serve` (its own HTTP face by default), and a folder to download to. */
async function openSite(
  t: TestContext,
  { serve, backups = {} }: { serve?: RequestListener; backups?: Partial<BackupService> } = {},
): Promise<Site> {
  const ranges: string[] = [];
  const link = { origin: "" };
  const services = inMemoryServices();
  const archiveLink: BackupService["archiveLink"] = () =>
    Promise.resolve(`${link.origin}/downloads/backups/${BACKUP_ID}?expires=1&signature=${SIGNATURE}`);
  const face = await openFace(t, {
    services: { ...services, backups: { ...services.backups, archiveLink, ...backups } },
  });
  link.origin = face.url;
  if (serve !== undefined) {
    const server = createServer((request, response) => {
      ranges.push(request.headers.range ?? "");
      serve(request, response);
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    assert.ok(typeof address === "object" && address !== null);
    link.origin = `http://127.0.0.1:${address.port}`;
    t.after(async () => {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    });
  }
  const folder = await makeTempFolder(t);
  return {
    folder,
    ranges,
    download: (argv = ["--output", folder], setting = {}) =>
      runCli(["-a", "my-app", "--addon", "postgresql", "backups-download", ...argv], {
        environment: asAlice(face.url),
        ...setting,
      }),
    files: async () => (await readdir(folder)).sort(),
  };
}

function sendWhole(response: ServerResponse, bytes: Buffer = ARCHIVE): void {
  response.writeHead(200, { "content-length": ARCHIVE.length, etag: ETAG });
  response.end(bytes);
}

function sendCut(response: ServerResponse, { from = 0, until }: { from?: number; until: number }): void {
  const range = `bytes ${from}-${ARCHIVE.length - 1}/${ARCHIVE.length}`;
  response.writeHead(from === 0 ? 200 : 206, {
    "content-length": ARCHIVE.length - from,
    etag: ETAG,
    ...(from === 0 ? {} : { "content-range": range }),
  });
  response.write(ARCHIVE.subarray(from, until), () => response.destroy());
}

test("backups-download takes the newest done backup and names the file after it", async (t) => {
  const site = await openSite(t);
  const run = await site.download();
  assert.deepEqual(run, {
    exitCode: 0,
    stdout: `-----> Selected the most recent successful backup\n===> ${join(site.folder, NAME)}\n`,
    stderr: "",
  });
  assert.deepEqual(await site.files(), [NAME]);
  assert.deepEqual(await readFile(join(site.folder, NAME)), ARCHIVE);
  assert.equal((await stat(join(site.folder, NAME))).mode & 0o777, 0o600);
});

test("backups-download takes --backup, --silent and --json", async (t) => {
  const site = await openSite(t);
  const chosen = await site.download(["--backup", BACKUP_ID, "-o", join(site.folder, "a.tgz")]);
  assert.equal(chosen.stdout, `===> ${join(site.folder, "a.tgz")}\n`);
  assert.deepEqual(await site.download(["-s", "-o", site.folder]), { exitCode: 0, stdout: "", stderr: "" });
  const json = await site.download(["--json", "-o", join(site.folder, "c.tgz")]);
  const printed: unknown = JSON.parse(json.stdout);
  assert.ok(typeof printed === "object" && printed !== null && "database_backup" in printed && "file" in printed);
  assert.equal(printed.file, join(site.folder, "c.tgz"));
  assert.deepEqual(await site.files(), [NAME, "a.tgz", "c.tgz"]);
});

test("backups-download draws a bar on a terminal that ends at 100%", async (t) => {
  const site = await openSite(t);
  const run = await site.download(undefined, { terminal: true });
  assert.match(run.stderr, /292\.97 KiB \/ 292\.97 KiB \[-+\] 100\.00% \? p\/s\n$/);
});

test("backups-download --output - writes the archive to standard output and nothing else", async (t) => {
  const site = await openSite(t);
  const collected: Buffer[] = [];
  const run = await site.download(["--output", "-"], { onStdout: (chunk) => collected.push(chunk) });
  assert.equal(run.exitCode, 0);
  assert.deepEqual(Buffer.concat(collected), ARCHIVE);
  assert.equal(run.stderr, "-----> Selected the most recent successful backup\n");
  const terminal = await site.download(["--output", "-"], { terminal: true });
  assert.equal(terminal.exitCode, 2);
  assert.match(terminal.stderr, /An archive is nothing for a terminal/);
  assert.equal((await site.download(["--output", "-", "--json"])).exitCode, 2);
});

test("backups-download replaces a longer file of the same name, also through a link", async (t) => {
  const site = await openSite(t);
  await writeFile(join(site.folder, "real"), Buffer.alloc(ARCHIVE.length + 5000, 1));
  await symlink(join(site.folder, "real"), join(site.folder, "link"));
  assert.equal((await site.download(["-o", join(site.folder, "link")])).exitCode, 0);
  assert.deepEqual(await readFile(join(site.folder, "real")), ARCHIVE);
  assert.deepEqual(await site.files(), ["link", "real"]);
});

test("backups-download writes a device as it is, instead of replacing it", async (t) => {
  const site = await openSite(t);
  assert.equal((await site.download(["-o", "/dev/null"])).exitCode, 0);
  assert.ok((await stat("/dev/null")).isCharacterDevice());
});

test("backups-download takes a cut connection up where it broke", async (t) => {
  const site = await openSite(t, {
    serve: (request, response) => {
      if (request.headers.range === undefined) return sendCut(response, { until: HALF });
      const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range)?.[1]);
      assert.equal(request.headers["if-range"], ETAG);
      return sendCut(response, { from, until: Math.min(from + 60_000, ARCHIVE.length) });
    },
  });
  assert.equal((await site.download()).exitCode, 0);
  assert.deepEqual(await readFile(join(site.folder, NAME)), ARCHIVE);
  assert.ok(site.ranges.length >= 3, site.ranges.join());
});

test("backups-download starts anew when the server sends the whole archive again", async (t) => {
  let served = 0;
  const serve: RequestListener = (_request, response) =>
    served++ === 0 ? sendCut(response, { until: HALF }) : sendWhole(response);
  const site = await openSite(t, { serve });
  assert.equal((await site.download()).exitCode, 0);
  assert.deepEqual(await readFile(join(site.folder, NAME)), ARCHIVE);
});

test("backups-download gives up on a connection that is always cut, and leaves nothing", async (t) => {
  const site = await openSite(t, { serve: (_request, response) => sendCut(response, { until: HALF }) });
  const run = await site.download();
  assert.equal(run.exitCode, 1);
  assert.match(run.stderr, /Download cut after \d+ of 300000 bytes/);
  assert.doesNotMatch(run.stderr, new RegExp(SIGNATURE));
  assert.deepEqual(await site.files(), []);
});

test("backups-download doesn't wait for an address where nothing ever answered", async (t) => {
  const archiveLink: BackupService["archiveLink"] = () => Promise.resolve("http://127.0.0.1:1000/secret-signature");
  const clock = instantClock();
  const site = await openSite(t, { backups: { archiveLink } });
  const run = await site.download(undefined, { options: { clock } });
  assert.equal(run.exitCode, 1);
  assert.match(run.stderr, /Cannot reach the platform at http:\/\/127\.0\.0\.1:1000/);
  assert.doesNotMatch(run.stderr, /secret-signature/);
  assert.deepEqual(clock.sleeps, []);
});

test("backups-download refuses bytes that are not those of the checksum, and leaves the file that was there", async (t) => {
  const altered = Buffer.from(ARCHIVE);
  altered[200_000] = (altered[200_000] ?? 0) ^ 1;
  const site = await openSite(t, { serve: (_request, response) => sendWhole(response, altered) });
  await writeFile(join(site.folder, NAME), "earlier");
  const run = await site.download();
  assert.equal(run.exitCode, 1);
  assert.match(run.stderr, /SHA-256 is [0-9a-f]{64}, expected [0-9a-f]{64}/);
  assert.deepEqual(await site.files(), [NAME]);
  assert.equal(await readFile(join(site.folder, NAME), "utf8"), "earlier");
});

test("backups-download refuses an archive that is shorter than the list says", async (t) => {
  const serve: RequestListener = (_request, response) => {
    response.writeHead(200, { "content-length": 1000 });
    response.end(ARCHIVE.subarray(0, 1000));
  };
  const site = await openSite(t, { serve });
  const run = await site.download();
  assert.equal(run.exitCode, 1);
  assert.match(run.stderr, /1000 bytes came instead of 300000/);
  assert.deepEqual(await site.files(), []);
});

test("backups-download refuses an archive that a proxy has compressed again", async (t) => {
  const serve: RequestListener = (_request, response) => {
    response.writeHead(200, { "content-encoding": "gzip" });
    response.end(ARCHIVE);
  };
  const run = await (await openSite(t, { serve })).download();
  assert.equal(run.exitCode, 1);
  assert.match(run.stderr, /it came with the encoding "gzip"/);
});

test("backups-download prints the storage's refusal at once", async (t) => {
  const serve: RequestListener = (_request, response) => response.writeHead(403).end("<Error>AccessDenied</Error>");
  const site = await openSite(t, { serve });
  const run = await site.download();
  assert.equal(run.exitCode, 1);
  assert.match(run.stderr, /Request forbidden \(403\)/);
  assert.deepEqual(site.ranges, [""], "one attempt");
});

test("backups-download tells an addon without backups from one without a good backup", async (t) => {
  const none = await openSite(t, { backups: { list: () => Promise.resolve([]) } });
  assert.match((await none.download()).stderr, /^ !     this addon has no backup\n/);
  const failed = await openSite(t, { backups: { list: () => Promise.resolve([{ ...BACKUP, status: "error" }]) } });
  const run = await failed.download();
  assert.equal(run.exitCode, 1);
  assert.match(run.stderr, /can't find any successful backup/);
  const running = await openSite(t, { backups: { show: () => Promise.resolve({ ...BACKUP, status: "running" }) } });
  assert.match((await running.download(["-b", BACKUP_ID])).stderr, /its status is running/);
});

test("backups-download refuses names that leave the folder, and folders that are not there", async (t) => {
  const evil = await openSite(t, { backups: { show: () => Promise.resolve({ ...BACKUP, name: "../../evil" }) } });
  assert.match((await evil.download()).stderr, /unusable name/);
  const site = await openSite(t);
  const run = await site.download(["-o", join(site.folder, "no/such/file")]);
  assert.equal(run.exitCode, 2);
  assert.match(run.stderr, /its folder doesn't exist/);
});

test("backups-download takes a name with a slash at its end for a folder", async (t) => {
  const site = await openSite(t);
  await mkdir(join(site.folder, "sub"));
  assert.equal((await site.download(["-o", `${join(site.folder, "sub")}/`])).exitCode, 0);
  assert.deepEqual(await readdir(join(site.folder, "sub")), [NAME]);
});

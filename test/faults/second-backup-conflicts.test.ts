import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { isRecord } from "../harness/platform.ts";
import { holdLock, sharedBackupScene, untilDumpIsBlocked } from "./backup-scene.ts";

const AT_ONCE = 8;

describe("a second backup of a database", () => {
  const scene = sharedBackupScene();

  test("is refused while one runs, and told which", async (t) => {
    const { platform, addonId } = scene();
    const lock = await holdLock(t, scene());
    const id = await scene().createBackup();
    await untilDumpIsBlocked(scene());
    const refused = await platform.api("POST", `/api/databases/${addonId}/backups`);
    assert.equal(refused.status, 409);
    assert.ok(isRecord(refused.body));
    assert.deepEqual([refused.body["code"], refused.body["backup_id"]], ["backup_running", id]);
    await lock.release();
    assert.equal((await scene().ended(id)).status, "done");
  });

  test("that is asked for at the same moment is refused to all but one", async (t) => {
    const { platform, addonId } = scene();
    const lock = await holdLock(t, scene());
    const token = await platform.ownerJwt();
    const replies = await Promise.all(
      Array.from({ length: AT_ONCE }, () => platform.api("POST", `/api/databases/${addonId}/backups`, { token })),
    );
    const statuses = replies.map(({ status }) => status).toSorted((a, b) => a - b);
    assert.deepEqual(statuses, [201, ...Array.from({ length: AT_ONCE - 1 }, () => 409)]);
    const [newest] = await scene().backups();
    const named = replies.flatMap(({ body }) => (isRecord(body) && "backup_id" in body ? [body["backup_id"]] : []));
    assert.deepEqual(new Set(named), new Set([newest?.id]));
    await lock.release();
    assert.equal((await scene().ended(newest?.id ?? "")).status, "done");
    await scene().assertNextBackupWorks(t);
  });
});

import assert from "node:assert/strict";
import { after, test } from "node:test";
import { InPlaceScene } from "../harness/in-place.ts";
import { waitFor } from "../harness/platform.ts";

const scene = await InPlaceScene.open({ after });

test("database-pitr-restore puts the database as it was in its place, and the earlier branch stays restorable", async () => {
  await scene.write();
  const two = await scene.write();
  const three = await scene.write();
  await scene.stored(three);

  const first = await scene.restore({ restore_time: two });
  assert.equal(await scene.ledger(), "1,2");
  assert.equal(first["timeline"], 2);
  assert.ok(Number(first["downtime_ms"]) > 0);

  await scene.query("insert into ledger values (100)");
  const onSecond = await scene.write();
  await scene.stored(onSecond);
  const branches = (await scene.window()).branches;
  assert.deepEqual(
    branches.map(({ timeline, isLive }) => [timeline, isLive]),
    [
      [2, true],
      [1, false],
    ],
  );

  // A moment at which another branch was the database's is looked for there.
  await scene.restore({ restore_time: three });
  assert.equal(await scene.ledger(), "1,2,3");
  await scene.restore({ restore_time: onSecond });
  assert.equal(await scene.ledger(), "1,2,4,100");
});

test("database-pitr-undo puts the replaced data back, and a restore goes on from there", async () => {
  await scene.undo();
  assert.equal(await scene.ledger(), "1,2,3");
  const five = await scene.write();
  await scene.stored(five);
  await waitFor(async () => (await scene.window()).state === "streaming", "a stream");
  await scene.restore({ restore_time: "latest" });
  assert.equal(await scene.ledger(), "1,2,3,5");
});

import assert from "node:assert/strict";
import { stat } from "node:fs/promises";
import { test } from "node:test";
import { controlServer, openControlServer, supervisedControlServer } from "../../src/instances/control-server.ts";
import { findServer } from "../../src/instances/server.ts";
import { Supervisor } from "../../src/instances/supervisor.ts";
import { withSession } from "../../src/postgres/connection.ts";
import { choosePrograms } from "../../src/postgres/programs.ts";
import { makeManagedMachine } from "../harness/managed-machine.ts";
import { silentLogger } from "../harness/recorded-log.ts";

const session = { applicationName: "test" };

test("openControlServer() makes a database on a private socket, and finds it and its rows again", async (t) => {
  const machine = await makeManagedMachine(t);
  const place = { ...machine, programs: choosePrograms(machine.installed) };
  const { clock } = machine;
  const connection = await openControlServer(place, { clock });
  assert.equal(connection.password, undefined);
  assert.equal((await stat(connection.host)).mode & 0o777, 0o700);
  await withSession(connection, session, async (client) => {
    const { rows } = await client.query("select current_setting('listen_addresses') as addresses, current_database()");
    assert.deepEqual(rows, [{ addresses: "", current_database: "tidemark" }]);
    await client.query("create table kept (id int)");
  });
  const before = await findServer(controlServer(place));
  assert.deepEqual(await openControlServer(place, { clock }), connection);
  assert.deepEqual(await findServer(controlServer(place)), before);
  const supervisor = new Supervisor({ clock, logger: silentLogger });
  t.after(() => supervisor.close({ leaveRunning: true, timeoutMs: 5_000 }));
  assert.equal((await supervisor.supervise(supervisedControlServer(place))).pid, before?.pid);
  await supervisor.restart("control");
  await withSession(connection, session, (client) => client.query("select * from kept"));
  await supervisor.close({ leaveRunning: false, timeoutMs: 20_000 });
  assert.equal(await findServer(controlServer(place)), undefined);
});

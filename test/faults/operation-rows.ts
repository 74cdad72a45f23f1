import type { ControlDatabase } from "../../src/control/database.ts";
import { insertOperation } from "../../src/control/operations.ts";
import { newAddonId, newObjectId, type ObjectId } from "../../src/core/ids.ts";

export const HOST_ID = "0a1b2c3d";

/** Adds so many logical backups that are due, each of a database of its own; no job is sent for any. Their ids. */
export async function addOperations({ db }: ControlDatabase, count: number): Promise<ObjectId[]> {
  const now = new Date();
  const owner = newObjectId(now);
  const user = { username: "owner", email: "owner@localhost", fullname: "Owner", password_hash: "none" };
  await db
    .insertInto("users")
    .values({ id: owner, ...user, is_platform_owner: true })
    .execute();
  const app = newObjectId(now);
  await db.insertInto("apps").values({ id: app, name: "shop", owner_id: owner, removed_at: null }).execute();
  const secret = Buffer.from("none");
  const ids: ObjectId[] = [];
  for (let number = 1; number <= count; number++) {
    const addon = newAddonId();
    await db
      .insertInto("addons")
      .values({
        id: addon,
        app_id: app,
        name: `postgresql-${number}`,
        resource_id: `shop_${number}`,
        plan_name: "postgresql-starter-512",
        state: "running",
        provisioned_at: now,
        removed_at: null,
      })
      .execute();
    await db
      .insertInto("databases")
      .values({
        addon_id: addon,
        host_id: HOST_ID,
        major: 15,
        port: null,
        version: null,
        status: "running",
        status_reason: null,
        wrapped_owner_password: secret,
        wrapped_backup_password: secret,
        wrapped_replication_password: secret,
        recipient: "none",
        wrapped_identity: secret,
      })
      .execute();
    const id = newObjectId(now);
    await insertOperation(db, { id, kind: "logical_backup", addonId: addon, requestedBy: owner });
    ids.push(id);
  }
  return ids;
}

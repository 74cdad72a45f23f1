import assert from "node:assert/strict";
import { test } from "node:test";
import { EVENT_TYPES, eventText, eventTitle, isEventType } from "./event-types.ts";

const DATABASE = {
  addon_uuid: "ad-1",
  addon_name: "PostgreSQL",
  addon_provider_name: "PostgreSQL",
  resource_id: "my_app_4553",
};

test("eventText() says what happened to which database, in the words of the API's clients", () => {
  const ended = { started_at: null, ended_at: "2026-03-01T00:00:00Z" };
  const backup = { ...DATABASE, ...ended, backup_id: "b1" };
  assert.equal(
    eventText("database_backup_succeeded", {
      ...backup,
      backup_method: "periodic",
      backup_status: "done",
      error: null,
    }),
    "Periodic backup b1 for addon 'PostgreSQL' (my_app_4553) succeeded",
  );
  assert.equal(
    eventText("database_backup_failed", {
      ...backup,
      backup_method: "manual",
      backup_status: "error",
      error: "a lock was not granted",
    }),
    "Manual backup b1 for addon 'PostgreSQL' (my_app_4553) failed: a lock was not granted",
  );
});

test("eventText() names variables and never their values", () => {
  const text = eventText("edit_variables", {
    new_vars: [{ name: "A", value: "" }],
    updated_vars: [],
    deleted_vars: [
      { name: "B", value: "" },
      { name: "C", value: "" },
    ],
  });
  assert.equal(text, "Environment changes: A added; B, C removed");
});

test("eventTitle() makes words of a type", () => {
  assert.equal(eventTitle("database_backup_succeeded"), "Database Backup Succeeded");
  assert.equal(eventTitle("database/add_feature"), "Database Add Feature");
});

test("isEventType() knows each type of the table, and nothing that objects inherit", () => {
  assert.ok(Object.keys(EVENT_TYPES).every(isEventType));
  assert.equal(isEventType("toString"), false);
});

import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, test } from "node:test";
import { TidemarkError } from "../core/errors.ts";
import { makeTempFolder } from "../../test/harness/temp-folder.ts";
import { readPlanCatalogue } from "./plans-file.ts";

const ARCHIVE = {
  name: "postgresql-archive-4096",
  display_name: "Archive 4G",
  description: "Any moment of the last 30 days",
  service_class: "starter",
  memory_mb: 4096,
  retention: {
    daily: 30,
    weekly: 12,
    monthly: 24,
    manual: 50,
    recovery_window_days: 30,
    manual_after_deletion_days: 365,
  },
};

describe("readPlanCatalogue()", () => {
  test("answers our own plans when there is no file", async () => {
    const plans = await readPlanCatalogue(null);
    assert.equal(plans.all.length, 6);
    assert.equal(plans.find("postgresql-starter-512")?.retention.manualCount, 10);
    assert.equal(plans.find("postgresql-archive-4096"), undefined);
  });

  test("adds the operator's plans behind ours, in the order of the file", async (t) => {
    const second = { ...ARCHIVE, name: "postgresql-archive-8192", memory_mb: 8192 };
    const plans = await readPlanCatalogue(await fileWith(t, JSON.stringify({ plans: [ARCHIVE, second] })));
    assert.deepEqual(
      plans.all.map(({ position }) => position),
      [1, 2, 3, 4, 5, 6, 7, 8],
    );
    assert.equal(plans.all.at(-1)?.name, second.name);
    assert.deepEqual(plans.find(ARCHIVE.name)?.retention, {
      dailyCount: 30,
      weeklyCount: 12,
      monthlyCount: 24,
      manualCount: 50,
      recoveryWindowDays: 30,
      manualAfterDeletionDays: 365,
    });
  });

  const refused: readonly [string, string, RegExp][] = [
    ["no JSON", "plans: []", /it is not JSON$/],
    ["another shape", "[]", /the whole: /],
    ["a field that it doesn't know", JSON.stringify({ plans: [{ ...ARCHIVE, price: 1 }] }), /plans\.0: .*"price"/],
    ["too little memory", JSON.stringify({ plans: [{ ...ARCHIVE, memory_mb: 64 }] }), /plans\.0\.memory_mb: .*128/],
    ["another provider's name", JSON.stringify({ plans: [{ ...ARCHIVE, name: "redis-1" }] }), /plans\.0\.name: must/],
    ["one plan twice", JSON.stringify({ plans: [ARCHIVE, ARCHIVE] }), /two plans with the name "postgresql-archive/],
    [
      "a plan of ours",
      JSON.stringify({ plans: [{ ...ARCHIVE, name: "postgresql-starter-512" }] }),
      /two plans with the name "postgresql-starter-512"$/,
    ],
    [
      "no day kept",
      JSON.stringify({ plans: [{ ...ARCHIVE, retention: { ...ARCHIVE.retention, daily: 0 } }] }),
      /plans\.0\.retention\.daily: .*1/,
    ],
  ];
  for (const [what, text, message] of refused)
    test(`refuses a file with ${what}, and says where`, async (t) => {
      await assert.rejects(readPlanCatalogue(await fileWith(t, text)), (error) => {
        assert.ok(error instanceof TidemarkError && error.code === "config_invalid");
        assert.match(error.message, /^TIDEMARK_PLANS_FILE is ".*plans\.json": /);
        assert.match(error.message, message);
        return true;
      });
    });

  test("refuses a file that isn't there", async (t) => {
    const path = join(await makeTempFolder(t), "plans.json");
    await assert.rejects(readPlanCatalogue(path), { code: "config_invalid", message: /it can't be read$/ });
  });
});

async function fileWith(t: Parameters<typeof makeTempFolder>[0], text: string): Promise<string> {
  const path = join(await makeTempFolder(t), "plans.json");
  await writeFile(path, text);
  return path;
}

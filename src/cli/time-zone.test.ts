import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import * as fc from "fast-check";
import { formatDate } from "./date-text.ts";
import { parseTimeZoneFile } from "./time-zone-file.ts";
import { loadTimeZone } from "./time-zone.ts";

const FOLDER = join(import.meta.dirname, "../../test/fixtures/zoneinfo");
const FILES = { folders: [FOLDER], local: join(FOLDER, "Asia/Dubai") };
const NO_FILES = { folders: ["/nonexistent"], local: "/nonexistent" };

const show = async (variable: string | undefined, instant: string, files = FILES): Promise<string> =>
  formatDate(new Date(instant), await loadTimeZone(variable, files));

test("loadTimeZone() has the zone's own abbreviations", async () => {
  assert.equal(await show("Europe/Paris", "2023-12-07T00:00:10Z"), "Thu, 07 Dec 2023 01:00:10 CET");
  assert.equal(await show("Europe/Paris", "2023-07-07T23:00:10Z"), "Sat, 08 Jul 2023 01:00:10 CEST");
  assert.equal(await show("America/New_York", "2023-12-07T00:00:10Z"), "Wed, 06 Dec 2023 19:00:10 EST");
  assert.equal(await show("Asia/Kolkata", "2023-12-07T00:00:10Z"), "Thu, 07 Dec 2023 05:30:10 IST");
  assert.equal(await show("Asia/Dubai", "2023-12-07T00:00:10Z"), "Thu, 07 Dec 2023 04:00:10 +04");
  assert.equal(await show("UTC", "2023-12-07T00:00:10Z"), "Thu, 07 Dec 2023 00:00:10 UTC");
});

test("loadTimeZone() reads TZ as the C library does", async () => {
  const instant = "2023-12-07T00:00:10Z";
  assert.equal(await show(undefined, instant), "Thu, 07 Dec 2023 04:00:10 +04", "unset: the machine's own");
  assert.equal(await show("", instant), "Thu, 07 Dec 2023 00:00:10 UTC", "empty");
  assert.equal(await show(":Europe/Paris", instant), "Thu, 07 Dec 2023 01:00:10 CET", "colon before");
  assert.equal(await show(join(FOLDER, "Europe/Paris"), instant), "Thu, 07 Dec 2023 01:00:10 CET", "a file");
  assert.equal(await show("XYZ3", instant), "Wed, 06 Dec 2023 21:00:10 XYZ", "a rule");
  assert.equal(await show("No/Such", instant), "Thu, 07 Dec 2023 00:00:10 UTC", "unknown");
  assert.equal(await show("../zoneinfo/Europe/Paris", instant), "Thu, 07 Dec 2023 00:00:10 UTC", "outside the folder");
});

test("loadTimeZone() falls back to offsets when the system has no zone files", async () => {
  assert.equal(await show("Europe/Paris", "2023-12-07T00:00:10Z", NO_FILES), "Thu, 07 Dec 2023 01:00:10 +0100");
  assert.equal(await show("America/New_York", "2023-12-07T00:00:10Z", NO_FILES), "Wed, 06 Dec 2023 19:00:10 -0500");
});

test("loadTimeZone() agrees with the runtime on each zone's offset at any time", async () => {
  for (const name of ["Europe/Paris", "America/New_York", "Asia/Kolkata", "Europe/Dublin", "Pacific/Auckland"]) {
    const zone = await loadTimeZone(name, FILES);
    // From 1970 on and far beyond the table's end, where the rule takes over.
    const instants = fc.date({ min: new Date("1970-01-02"), max: new Date("2090-01-01"), noInvalidDate: true });
    const property = fc.property(instants, (instant) => {
      const expected = Temporal.Instant.fromEpochMilliseconds(instant.getTime()).toZonedDateTimeISO(name);
      assert.equal(
        zone.at(instant).offsetSeconds,
        expected.offsetNanoseconds / 1e9,
        `${name} ${instant.toISOString()}`,
      );
    });
    fc.assert(property, { numRuns: 300 });
  }
});

test("parseTimeZoneFile() gives undefined for a cut or foreign file, and never throws", () => {
  const whole = readFileSync(join(FOLDER, "Europe/Paris"));
  assert.equal(parseTimeZoneFile(Buffer.from("root:x:0:0")), undefined);
  assert.equal(parseTimeZoneFile(Buffer.alloc(0)), undefined);
  for (let length = 1; length < 1200; length += 37)
    assert.equal(parseTimeZoneFile(whole.subarray(0, length)), undefined);
  const property = fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
    parseTimeZoneFile(Buffer.concat([whole.subarray(0, 44), bytes]));
  });
  fc.assert(property, { numRuns: 300 });
});

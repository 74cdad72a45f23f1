import assert from "node:assert/strict";
import { test } from "node:test";
import { parsePosixZone, posixLocalTime } from "./posix-zone.ts";

function abbreviationAt(rule: string, instant: string): string {
  const zone = parsePosixZone(rule);
  assert.ok(zone !== undefined, `"${rule}" is a rule`);
  const { abbreviation, offsetSeconds } = posixLocalTime(zone, Date.parse(instant) / 1000);
  return `${abbreviation} ${offsetSeconds}`;
}

test("posixLocalTime() changes at the second that the rule names", () => {
  const paris = "CET-1CEST,M3.5.0,M10.5.0/3";
  assert.equal(abbreviationAt(paris, "2060-03-28T00:59:59Z"), "CET 3600");
  assert.equal(abbreviationAt(paris, "2060-03-28T01:00:00Z"), "CEST 7200");
  assert.equal(abbreviationAt(paris, "2060-10-31T00:59:59Z"), "CEST 7200");
  assert.equal(abbreviationAt(paris, "2060-10-31T01:00:00Z"), "CET 3600");
});

test("posixLocalTime() spans the new year when summer does", () => {
  const auckland = "NZST-12NZDT,M9.5.0,M4.1.0/3";
  assert.equal(abbreviationAt(auckland, "2060-01-01T00:00:00Z"), "NZDT 46800");
  assert.equal(abbreviationAt(auckland, "2060-07-01T00:00:00Z"), "NZST 43200");
});

test("posixLocalTime() obeys a winter time that is the exception", () => {
  const dublin = "IST-1GMT0,M10.5.0,M3.5.0/1";
  assert.equal(abbreviationAt(dublin, "2060-01-15T00:00:00Z"), "GMT 0");
  assert.equal(abbreviationAt(dublin, "2060-07-15T00:00:00Z"), "IST 3600");
});

test("posixLocalTime() counts days with and without February 29", () => {
  // Day 60 of the Julian kind is always March 1; of the other kind it is February 29 + 1 only in common years.
  assert.equal(abbreviationAt("AAA0BBB,J60/0,J300/0", "2028-02-29T12:00:00Z"), "AAA 0");
  assert.equal(abbreviationAt("AAA0BBB,J60/0,J300/0", "2028-03-01T00:00:00Z"), "BBB 3600");
  assert.equal(abbreviationAt("AAA0BBB,59/0,300/0", "2028-02-29T00:00:00Z"), "BBB 3600");
});

test("parsePosixZone() reads quoted names, minutes, rules left out and hours beyond a day", () => {
  assert.equal(abbreviationAt("<+0545>-5:45", "2026-01-01T00:00:00Z"), "+0545 20700");
  assert.equal(abbreviationAt("EST5EDT", "2026-07-01T00:00:00Z"), "EDT -14400");
  assert.equal(abbreviationAt("<-02>2<-01>,M3.5.0/-1,M10.5.0/0", "2026-07-01T00:00:00Z"), "-01 -3600");
});

test("parsePosixZone() gives undefined for what is no rule", () => {
  for (const text of ["", "Europe/Paris", "CET", "C-1", "CET-1CEST,M3.5.0", "CET-1CEST,M3.6.0,M10.5.0", "CET-1 CEST"]) {
    assert.equal(parsePosixZone(text), undefined, text);
  }
});

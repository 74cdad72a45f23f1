import assert from "node:assert/strict";
import { test } from "node:test";
import { parseLsn, toTimelineId } from "../../core/lsn.ts";
import { parseTimelineHistory } from "../../postgres/timeline-history.ts";
import { type ServerSide, type StoredSide, judgeServer } from "./server-judgement.ts";

const one = toTimelineId(1);
const two = toTimelineId(2);
const three = toTimelineId(3);
const stored: StoredSide = {
  systemId: "42",
  end: { timeline: one, lsn: parseLsn("0/5000100") },
  histories: new Map(),
};
const server: ServerSide = { systemId: "42", timeline: one, flushed: parseLsn("0/5000200"), history: [] };

test("R2: judgeServer() lets a server go on that has passed what is stored", () => {
  assert.equal(judgeServer(stored, server).kind, "continue");
  assert.equal(judgeServer(stored, { ...server, flushed: parseLsn("0/5000100") }).kind, "continue");
  const promoted = { ...server, timeline: two, history: parseTimelineHistory("1\t0/5000100\tno recovery target\n") };
  assert.equal(judgeServer(stored, promoted).kind, "continue");
});

test("R2: judgeServer() begins where nothing is stored", () => {
  assert.equal(judgeServer({ ...stored, end: undefined }, server).kind, "begin");
});

test("R2: judgeServer() finds another cluster under the same name", () => {
  const judgement = judgeServer(stored, { ...server, systemId: "43" });
  assert.deepEqual(judgement, {
    kind: "diverged",
    reason: "other system",
    explanation: 'the server is cluster "43", stored is "42"',
  });
});

test("R2: judgeServer() finds a server that was put back from a snapshot", () => {
  const back = judgeServer(stored, { ...server, flushed: parseLsn("0/50000FF") });
  assert.equal(back.kind === "diverged" && back.reason, "went back");
  const older = { ...stored, end: { timeline: two, lsn: parseLsn("0/4000000") } };
  const timeline = judgeServer(older, server);
  assert.equal(timeline.kind === "diverged" && timeline.reason, "went back");
});

test("R2: judgeServer() finds a timeline that left before the stored end", () => {
  const history = parseTimelineHistory("1\t0/50000FF\tno recovery target\n");
  const judgement = judgeServer(stored, { ...server, timeline: two, history });
  assert.equal(judgement.kind === "diverged" && judgement.reason, "other history");
  const unrelated = judgeServer(
    { ...stored, end: { timeline: two, lsn: parseLsn("0/5000100") } },
    { ...server, timeline: three, history: parseTimelineHistory("1\t0/6000000\tx\n") },
  );
  assert.equal(unrelated.kind === "diverged" && unrelated.reason, "other history");
});

test("R2: judgeServer() finds two different timelines of one number", () => {
  const histories = new Map([[two, parseTimelineHistory("1\t0/4000000\tx\n")]]);
  const own = { ...server, timeline: two, history: parseTimelineHistory("1\t0/4100000\tx\n") };
  const end = { timeline: two, lsn: parseLsn("0/5000000") };
  const same = judgeServer({ ...stored, end, histories }, own);
  assert.equal(same.kind === "diverged" && same.reason, "other history");
  const ancestor = judgeServer(
    { ...stored, end, histories },
    { ...server, timeline: three, history: parseTimelineHistory("1\t0/4100000\tx\n2\t0/6000000\tx\n") },
  );
  assert.equal(ancestor.kind === "diverged" && ancestor.reason, "other history");
});

test("parseTimelineHistory() refuses lines that are no switch or go back", () => {
  assert.throws(() => parseTimelineHistory("1 here\n"), { code: "wal_invalid" });
  assert.throws(() => parseTimelineHistory("2\t0/3\tx\n1\t0/4\tx\n"), { code: "wal_invalid" });
  assert.throws(() => parseTimelineHistory("1\t0/5\tx\n2\t0/4\tx\n"), { code: "wal_invalid" });
  assert.deepEqual(parseTimelineHistory("# comment\n\n"), []);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { parseLsn, toTimelineId } from "../../core/lsn.ts";
import {
  INITIAL_STATE,
  type ReceiverEvent,
  type ReceiverEventKind,
  type ReceiverState,
  type ReceiverStateName,
  transition,
} from "./receiver-state.ts";

const from = { timeline: toTimelineId(1), lsn: parseLsn("0/3000000") };
const EVENTS: { readonly [Kind in ReceiverEventKind]: Extract<ReceiverEvent, { kind: Kind }> } = {
  "start requested": { kind: "start requested" },
  "stop requested": { kind: "stop requested" },
  connected: { kind: "connected" },
  identified: { kind: "identified", from },
  "stream alive": { kind: "stream alive" },
  "continuity broken": { kind: "continuity broken", break: { kind: "wal removed" } },
  "timeline ended": { kind: "timeline ended", next: from },
  "history stored": { kind: "history stored", from },
  "break recorded": { kind: "break recorded" },
  "held back": { kind: "held back" },
  "connection ended": { kind: "connection ended", error: undefined },
  "wait over": { kind: "wait over" },
};
const STATES: readonly ReceiverStateName[] = [
  "stopped",
  "connecting",
  "identifying",
  "streaming",
  "switching timeline",
  "backing off",
  "gap",
];

/** The whole table: each state, each event that matters to it, the next state and what is done. */
const GOLDEN: Record<ReceiverStateName, Partial<Record<ReceiverEventKind, string>>> = {
  stopped: { "start requested": "connecting: connect" },
  connecting: {
    "stop requested": "stopped: disconnect, drain and end",
    connected: "identifying: identify",
    "continuity broken": "gap: disconnect, record break",
    "connection ended": "backing off: disconnect, wait for time",
  },
  identifying: {
    "stop requested": "stopped: disconnect, drain and end",
    identified: "streaming: stream",
    "continuity broken": "gap: disconnect, record break",
    "connection ended": "backing off: disconnect, wait for time",
  },
  streaming: {
    "stop requested": "stopped: disconnect, drain and end",
    "stream alive": "streaming: ",
    "continuity broken": "gap: disconnect, record break",
    "timeline ended": "switching timeline: store history",
    "held back": "backing off: disconnect, wait for room",
    "connection ended": "backing off: disconnect, wait for time",
  },
  "switching timeline": {
    "stop requested": "stopped: disconnect, drain and end",
    "continuity broken": "gap: disconnect, record break",
    "history stored": "streaming: stream",
    "connection ended": "backing off: disconnect, wait for time",
  },
  "backing off": {
    "stop requested": "stopped: disconnect, drain and end",
    "continuity broken": "gap: disconnect, record break",
    "wait over": "connecting: connect",
  },
  gap: {
    "stop requested": "stopped: disconnect, drain and end",
    "break recorded": "connecting: connect",
    "connection ended": "backing off: disconnect, wait for time",
  },
};

test("transition() follows the written table in every state and for every event", () => {
  for (const name of STATES)
    for (const event of Object.values(EVENTS)) {
      const state: ReceiverState = { name, failures: 2 };
      const next = transition(state, event);
      const golden = GOLDEN[name][event.kind];
      if (golden === undefined) assert.deepEqual(next, { state, effects: [] }, `${name} on ${event.kind}`);
      else
        assert.equal(
          `${next.state.name}: ${next.effects.map(({ kind }) => kind).join(", ")}`,
          golden,
          `${name} on ${event.kind}`,
        );
    }
});

test("transition() counts failures in a row and forgets them when WAL flows again", () => {
  const lost = transition({ name: "connecting", failures: 4 }, EVENTS["connection ended"]);
  assert.deepEqual(lost.effects.at(-1), { kind: "wait for time", failures: 5 });
  assert.equal(transition({ name: "identifying", failures: 5 }, EVENTS.identified).state.failures, 5);
  assert.equal(transition({ name: "streaming", failures: 5 }, EVENTS["stream alive"]).state.failures, 0);
});

test("transition() reaches stopped from everywhere by one request, and stays there", () => {
  const events = fc.constantFrom(...Object.values(EVENTS));
  fc.assert(
    fc.property(fc.array(events, { maxLength: 50 }), (list) => {
      let state = INITIAL_STATE;
      for (const event of list) state = transition(state, event).state;
      state = transition(state, EVENTS["stop requested"]).state;
      assert.equal(state.name, "stopped");
      for (const event of list)
        if (event.kind !== "start requested") assert.equal(transition(state, event).state.name, "stopped");
    }),
  );
});

test("transition() disconnects whenever it leaves a connection for a wait or a record", () => {
  for (const name of STATES)
    for (const event of Object.values(EVENTS)) {
      const { state, effects } = transition({ name, failures: 0 }, event);
      const leavesConnection = ["backing off", "gap", "stopped"].includes(state.name) && state.name !== name;
      if (leavesConnection) assert.equal(effects[0]?.kind, "disconnect", `${name} on ${event.kind}`);
    }
});

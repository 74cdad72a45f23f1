import type { LineageReason } from "../../repository/lineages.ts";
import type { TimelinePosition } from "../../postgres/timeline-history.ts";

/*
 * The WAL receiver's life, as a pure state machine: a state and an event give the next state and what the driver shall do. The table below is total:
 * each state says what every event means to it, and "nothing" is written where an event comes too late to matter (a connection that we let go of
 * reports its end after the state has moved on).
 *
 *   stopped             nothing runs; the end, or before the beginning
 *   connecting          what was received before is drained into the store, then the server is dialled
 *   identifying         the server is compared with what is stored, the slot is found or made
 *   streaming           WAL arrives
 *   switching timeline  the timeline ended; the next one's history is stored before its first byte
 *   backing off         no connection, and a wait: for time, or for room in the spool
 *   gap                 continuity is broken; that is recorded and said before streaming goes on elsewhere
 */

export type ReceiverStateName =
  | "stopped"
  | "connecting"
  | "identifying"
  | "streaming"
  | "switching timeline"
  | "backing off"
  | "gap";

export interface ReceiverState {
  readonly name: ReceiverStateName;
  /** Failures in a row; the wait grows with it. */
  readonly failures: number;
}

/** Why continuity is broken. */
export type Break =
  /** The server has removed WAL that was never stored. */
  | { readonly kind: "wal removed" }
  /** The server is not the one, or no longer in the history, that is stored. */
  | { readonly kind: "diverged"; readonly reason: LineageReason; readonly explanation: string };

export type ReceiverEvent =
  | { readonly kind: "start requested" }
  | { readonly kind: "stop requested" }
  | { readonly kind: "connected" }
  | { readonly kind: "identified"; readonly from: TimelinePosition }
  /** The server sent something on the stream: starting it was a success, which its acceptance alone doesn't prove. */
  | { readonly kind: "stream alive" }
  | { readonly kind: "continuity broken"; readonly break: Break }
  | { readonly kind: "timeline ended"; readonly next: TimelinePosition }
  | { readonly kind: "history stored"; readonly from: TimelinePosition }
  | { readonly kind: "break recorded" }
  /** The spool was full for too long: the connection is let go, since a held socket keeps a server from stopping. */
  | { readonly kind: "held back" }
  | { readonly kind: "connection ended"; readonly error: Error | undefined }
  | { readonly kind: "wait over" };

export type ReceiverEventKind = ReceiverEvent["kind"];

export type ReceiverEffect =
  | { readonly kind: "connect" }
  | { readonly kind: "identify" }
  | { readonly kind: "stream"; readonly from: TimelinePosition }
  | { readonly kind: "store history"; readonly next: TimelinePosition }
  | { readonly kind: "record break"; readonly break: Break }
  | { readonly kind: "disconnect" }
  | { readonly kind: "wait for time"; readonly failures: number }
  | { readonly kind: "wait for room" }
  | { readonly kind: "drain and end" };

export interface Transition {
  readonly state: ReceiverState;
  readonly effects: readonly ReceiverEffect[];
}

type Event<Kind extends ReceiverEventKind> = Extract<ReceiverEvent, { kind: Kind }>;
type Cell<Kind extends ReceiverEventKind> = (state: ReceiverState, event: Event<Kind>) => Transition;
type Row = { readonly [Kind in ReceiverEventKind]: Cell<Kind> };

export const INITIAL_STATE: ReceiverState = { name: "stopped", failures: 0 };

/** The next state and what to do. Pure. */
export function transition(state: ReceiverState, event: ReceiverEvent): Transition {
  // The row's cell of this kind takes an event of this kind; the type system can't see that for a union.
  const cell = TABLE[state.name][event.kind] as Cell<ReceiverEventKind>;
  return cell(state, event);
}

const nothing = (state: ReceiverState): Transition => ({ state, effects: [] });

const stop = (): Transition => ({
  state: { name: "stopped", failures: 0 },
  effects: [{ kind: "disconnect" }, { kind: "drain and end" }],
});

const connect = (state: ReceiverState): Transition => ({
  state: { ...state, name: "connecting" },
  effects: [{ kind: "connect" }],
});

const backOff = (state: ReceiverState): Transition => {
  const failures = state.failures + 1;
  return {
    state: { name: "backing off", failures },
    effects: [{ kind: "disconnect" }, { kind: "wait for time", failures }],
  };
};

const holdBack = (): Transition => ({
  state: { name: "backing off", failures: 0 },
  effects: [{ kind: "disconnect" }, { kind: "wait for room" }],
});

const breakOff = (state: ReceiverState, event: Event<"continuity broken">): Transition => ({
  state: { ...state, name: "gap" },
  effects: [{ kind: "disconnect" }, { kind: "record break", break: event.break }],
});

const stream = (state: ReceiverState, event: { readonly from: TimelinePosition }): Transition => ({
  state: { ...state, name: "streaming" },
  effects: [{ kind: "stream", from: event.from }],
});

const NOTHING: Row = {
  "start requested": nothing,
  "stop requested": nothing,
  connected: nothing,
  identified: nothing,
  "stream alive": nothing,
  "continuity broken": nothing,
  "timeline ended": nothing,
  "history stored": nothing,
  "break recorded": nothing,
  "held back": nothing,
  "connection ended": nothing,
  "wait over": nothing,
};

const TABLE: { readonly [State in ReceiverStateName]: Row } = {
  stopped: { ...NOTHING, "start requested": connect },
  connecting: {
    ...NOTHING,
    "stop requested": stop,
    connected: (state) => ({ state: { ...state, name: "identifying" }, effects: [{ kind: "identify" }] }),
    "continuity broken": breakOff,
    "connection ended": backOff,
  },
  identifying: {
    ...NOTHING,
    "stop requested": stop,
    identified: stream,
    "continuity broken": breakOff,
    "connection ended": backOff,
  },
  streaming: {
    ...NOTHING,
    "stop requested": stop,
    "stream alive": () => ({ state: { name: "streaming", failures: 0 }, effects: [] }),
    "continuity broken": breakOff,
    "timeline ended": (state, event) => ({
      state: { ...state, name: "switching timeline" },
      effects: [{ kind: "store history", next: event.next }],
    }),
    "held back": holdBack,
    "connection ended": backOff,
  },
  "switching timeline": {
    ...NOTHING,
    "stop requested": stop,
    "continuity broken": breakOff,
    "history stored": stream,
    "connection ended": backOff,
  },
  "backing off": {
    ...NOTHING,
    "stop requested": stop,
    // Found while what was received before is still being stored.
    "continuity broken": breakOff,
    "wait over": connect,
  },
  gap: {
    ...NOTHING,
    "stop requested": stop,
    "break recorded": connect,
    // The record could not be stored: the break is found again after the wait.
    "connection ended": backOff,
  },
};

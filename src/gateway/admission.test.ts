import assert from "node:assert/strict";
import { test } from "node:test";
import {
  Admission,
  CONNECTIONS_MAX,
  CONNECTIONS_PER_USER_MAX,
  FAILURE_WINDOW_MS,
  FAILURES_PER_ADDRESS_MAX,
  type Place,
  STRANGERS_MAX,
  STRANGERS_PER_ADDRESS_MAX,
} from "./admission.ts";

test("enter() takes so many strangers from one address, and so many at all", () => {
  const admission = new Admission(() => 0);
  const places = enterMany(admission, STRANGERS_PER_ADDRESS_MAX + 5, () => "192.0.2.1");
  assert.equal(places.length, STRANGERS_PER_ADDRESS_MAX);
  const others = enterMany(admission, STRANGERS_MAX, (index) => `192.0.2.${index + 2}`);
  assert.equal(places.length + others.length, STRANGERS_MAX);
  for (const place of places) assert.equal(place.logIn("alice"), true);
  assert.notEqual(admission.enter("192.0.2.1"), undefined, "who has logged in takes no stranger's place");
});

test("logIn() takes so many connections of a user, and again after one has left", () => {
  const admission = new Admission(() => 0);
  const places = Array.from({ length: CONNECTIONS_PER_USER_MAX }, (_, index) => logIn(admission, index));
  const late = admission.enter("late");
  assert.equal(late?.logIn("alice"), false);
  assert.equal(late.logIn("bob"), true);
  places[0]?.leave();
  places[0]?.leave();
  assert.equal(admission.enter("next")?.logIn("alice"), true);
  assert.equal(admission.enter("one more")?.logIn("alice"), false);
});

test("enter() takes no more than there may be at all", () => {
  const admission = new Admission(() => 0);
  for (let count = 0; count < CONNECTIONS_MAX; count++)
    assert.equal(admission.enter(`a${count}`)?.logIn(`u${count}`), true);
  assert.equal(admission.enter("late"), undefined);
});

test("enter() refuses an address after many connections without a login, for a while, and no other address", () => {
  let nowMs = 0;
  const admission = new Admission(() => nowMs);
  for (let count = 0; count < FAILURES_PER_ADDRESS_MAX; count++) admission.enter("192.0.2.1")?.leave();
  assert.equal(admission.enter("192.0.2.1"), undefined);
  assert.notEqual(admission.enter("192.0.2.2"), undefined);
  nowMs += FAILURE_WINDOW_MS + 1;
  assert.notEqual(admission.enter("192.0.2.1"), undefined);
});

function enterMany(admission: Admission, count: number, address: (index: number) => string): Place[] {
  return Array.from({ length: count }, (_, index) => admission.enter(address(index))).filter(
    (place) => place !== undefined,
  );
}

function logIn(admission: Admission, index: number): Place | undefined {
  const place = admission.enter(`address ${index}`);
  assert.equal(place?.logIn("alice"), true);
  return place;
}

import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { describe, it } from "node:test";
import { isErrorCode, TidemarkError, type ErrorCode } from "../../src/core/errors.ts";
import type { ByteStream, Store, StoredObject } from "../../src/storage/store.ts";

/** Makes an empty store for one test; what it needs is cleaned up by the caller's own hooks. */
export type OpenStore = () => Promise<Store>;

const MIB = 1024 * 1024;

/** The conformance suite: a test or more for each sentence of `Store`. A driver's own test is one call of this plus its regressions. */
export function describeStore(name: string, openStore: OpenStore): void {
  describePut(name, openStore);
  describePutFailures(name, openStore);
  describeTakenKeys(name, openStore);
  describePutDeferred(name, openStore);
  describeGet(name, openStore);
  describeList(name, openStore);
  describeHeadAndDelete(name, openStore);
}

function describePut(name: string, openStore: OpenStore): void {
  describe(`${name}: put()`, () => {
    it("keeps the bytes of a stream, checksum and all", async () => {
      const store = await openStore();
      const bytes = randomBytes(3 * MIB + 17);
      const stored = await store.put("a/b.bin", inPieces(bytes, 100_000));
      assert.equal(stored.key, "a/b.bin");
      assert.equal(stored.sizeBytes, bytes.length);
      assert.equal(await checksum(store.get("a/b.bin")), sha256(bytes));
    });

    it("keeps an empty object and one given as bytes", async () => {
      const store = await openStore();
      await store.put("empty", new Uint8Array());
      await store.put("word", Buffer.from("word"));
      assert.equal((await read(store.get("empty"))).length, 0);
      assert.equal((await read(store.get("word"))).toString(), "word");
    });

    it("shows nothing while the body is being read", async () => {
      const store = await openStore();
      const gate = Promise.withResolvers<void>();
      const begun = Promise.withResolvers<void>();
      const putting = store.put("slow", gated(begun, gate.promise));
      await begun.promise;
      assert.equal(await store.head("slow"), undefined);
      assert.deepEqual(await keys(store, ""), []);
      gate.resolve();
      await putting;
      assert.deepEqual(await keys(store, ""), ["slow"]);
    });

    it("throws the body's own error on and leaves nothing", async () => {
      const store = await openStore();
      const failure = new TidemarkError("dump_failed", "the body broke");
      await assert.rejects(store.put("broken", failing(failure)), (error) => error === failure);
      assert.equal(await store.head("broken"), undefined);
      assert.deepEqual(await keys(store, ""), []);
      await store.put("broken", Buffer.from("whole now"));
    });
  });
}

function describePutFailures(name: string, openStore: OpenStore): void {
  describe(`${name}: put() that fails`, () => {
    it("throws an errno of the body on unchanged, since it is not the store's", async () => {
      const store = await openStore();
      const failure = Object.assign(new Error("spawn pg_dump ENOENT"), { code: "ENOENT", errno: -2, syscall: "spawn" });
      await assert.rejects(store.put("broken", failing(failure)), (error) => error === failure);
    });

    it("rejects with the signal's reason, also when the body never answers, and leaves nothing", async () => {
      const store = await openStore();
      const stop = new AbortController();
      const begun = Promise.withResolvers<void>();
      const putting = store.put("stuck", gated(begun, new Promise(() => undefined)), { signal: stop.signal });
      await begun.promise;
      const reason = new TidemarkError("cancelled", "enough");
      stop.abort(reason);
      await assert.rejects(putting, (error) => error === reason);
      assert.deepEqual(await keys(store, ""), []);
    });

    it("refuses keys that could leave the store or that no store could hold", async () => {
      const store = await openStore();
      const bad = [
        "",
        "/a",
        "a/",
        "a//b",
        "../a",
        "a/../b",
        "a/.b",
        ".uploads/x",
        "-a",
        "a b",
        "a\\b",
        "ä",
        "a\0b",
        "x".repeat(513),
      ];
      for (const key of bad) {
        await assert.rejects(store.put(key, Buffer.from("x")), code("bug"), key);
        await assert.rejects(async () => read(store.get(key)), code("bug"), key);
        await assert.rejects(async () => store.head(key), code("bug"), key);
        await assert.rejects(async () => store.delete(key), code("bug"), key);
      }
      assert.deepEqual(await keys(store, ""), []);
    });
  });
}

function describeTakenKeys(name: string, openStore: OpenStore): void {
  describe(`${name}: put() on a taken key`, () => {
    it("refuses a taken key and keeps what was there", async () => {
      const store = await openStore();
      await store.put("taken", Buffer.from("first"));
      await assert.rejects(store.put("taken", Buffer.from("second")), code("object_exists"));
      assert.equal((await read(store.get("taken"))).toString(), "first");
    });

    it("refuses the second of two puts that run at once", async () => {
      const store = await openStore();
      const puts = ["one", "two", "three"].map((text) =>
        store.put("race", inPieces(Buffer.from(text.repeat(999)), 10)),
      );
      const results = await Promise.allSettled(puts);
      const won = results.filter((result) => result.status === "fulfilled");
      assert.equal(won.length, 1);
      for (const result of results)
        if (result.status === "rejected") assert.ok(isErrorCode(result.reason, "object_exists"));
    });

    it("replaces the object in one step when it may overwrite", async () => {
      const store = await openStore();
      await store.put("marker", Buffer.from("a long first version"));
      await store.put("marker", Buffer.from("second"), { overwrite: true });
      assert.equal((await read(store.get("marker"))).toString(), "second");
      await assert.rejects(store.put("marker", failing(new Error("no")), { overwrite: true }));
      assert.equal((await read(store.get("marker"))).toString(), "second");
    });
  });
}

function describePutDeferred(name: string, openStore: OpenStore): void {
  describe(`${name}: putDeferred()`, () => {
    it("puts the head before the body once the body has ended", async () => {
      const store = await openStore();
      const body = randomBytes(2 * MIB + 3);
      const head = randomBytes(70_000);
      let bodyEnded = false;
      const stored = await store.putDeferred("late", {
        headSizeBytes: head.length,
        body: withEnd(inPieces(body, 65_536), () => (bodyEnded = true)),
        head: async () => {
          assert.ok(bodyEnded, "the head is asked for after the body");
          assert.equal(await store.head("late"), undefined);
          return head;
        },
      });
      assert.equal(stored.sizeBytes, head.length + body.length);
      assert.equal(await checksum(store.get("late")), sha256(Buffer.concat([head, body])));
    });

    it("makes a short head the whole object when the body is empty", async () => {
      const store = await openStore();
      const content = {
        headSizeBytes: 1000,
        body: inPieces(Buffer.alloc(0), 1),
        head: async () => Buffer.from("short"),
      };
      assert.equal((await store.putDeferred("short", content)).sizeBytes, 5);
      assert.equal((await read(store.get("short"))).toString(), "short");
    });

    it("refuses a short head before a body", async () => {
      const store = await openStore();
      const content = {
        headSizeBytes: 10,
        body: inPieces(Buffer.from("body"), 2),
        head: async () => Buffer.from("short"),
      };
      await assert.rejects(store.putDeferred("wrong", content), code("bug"));
      assert.equal(await store.head("wrong"), undefined);
    });

    it("never asks for the head when the body fails, and leaves nothing", async () => {
      const store = await openStore();
      const content = {
        headSizeBytes: 10,
        body: failing(new Error("cut")),
        head: () => Promise.reject(new Error("the head was asked for")),
      };
      await assert.rejects(store.putDeferred("cut", content), { message: "cut" });
      assert.deepEqual(await keys(store, ""), []);
    });

    it("refuses a taken key", async () => {
      const store = await openStore();
      await store.put("taken", Buffer.from("first"));
      const content = { headSizeBytes: 1, body: inPieces(Buffer.from("b"), 1), head: async () => Buffer.from("a") };
      await assert.rejects(store.putDeferred("taken", content), code("object_exists"));
    });
  });
}

function describeGet(name: string, openStore: OpenStore): void {
  describe(`${name}: get()`, () => {
    it("gives exactly the asked range", async () => {
      const store = await openStore();
      const bytes = randomBytes(MIB + 5);
      await store.put("range", bytes);
      const ranges = [
        [0, 0],
        [0, 1],
        [1, 2],
        [65_535, 3],
        [600_000, 400_000],
        [bytes.length - 1, 1],
        [bytes.length, 0],
      ] as const;
      for (const [offsetBytes, lengthBytes] of ranges) {
        const got = await read(store.get("range", { offsetBytes, lengthBytes }));
        assert.ok(got.equals(bytes.subarray(offsetBytes, offsetBytes + lengthBytes)), `${offsetBytes}+${lengthBytes}`);
      }
      assert.ok((await read(store.get("range", { offsetBytes: 1_000_000 }))).equals(bytes.subarray(1_000_000)));
    });

    it("refuses a range past the end", async () => {
      const store = await openStore();
      await store.put("small", Buffer.from("12345"));
      await assert.rejects(read(store.get("small", { offsetBytes: 3, lengthBytes: 3 })), code("range_not_satisfiable"));
      await assert.rejects(read(store.get("small", { offsetBytes: 6 })), code("range_not_satisfiable"));
    });

    it("says that there is no such object", async () => {
      const store = await openStore();
      await store.put("folder/object", Buffer.from("x"));
      await assert.rejects(read(store.get("absent")), code("object_not_found"));
      await assert.rejects(read(store.get("folder")), code("object_not_found"));
    });

    it("ends with the signal's reason", async () => {
      const store = await openStore();
      await store.put("big", randomBytes(4 * MIB));
      const stop = new AbortController();
      const reason = new Error("enough");
      const reading = async (): Promise<void> => {
        for await (const chunk of store.get("big", { signal: stop.signal })) if (chunk.length > 0) stop.abort(reason);
      };
      await assert.rejects(reading(), (error) => error === reason);
    });

    it("gives chunks that later chunks don't change", async () => {
      const store = await openStore();
      const bytes = randomBytes(3 * MIB);
      await store.put("chunks", bytes);
      const kept: Uint8Array[] = [];
      for await (const chunk of store.get("chunks")) kept.push(chunk);
      assert.equal(sha256(Buffer.concat(kept)), sha256(bytes));
    });
  });
}

function describeList(name: string, openStore: OpenStore): void {
  describe(`${name}: list()`, () => {
    it("list() gives every key with the prefix, in the order of their bytes", async () => {
      const store = await openStore();
      const all = ["a-b", "a.b", "a/b", "a/b-c", "a/c/d", "a0", "aB", "a_", "ab/c", "b/a", "B"];
      for (const key of all.toReversed()) await store.put(key, Buffer.from(key));
      assert.deepEqual(await keys(store, ""), [...all].sort());
      for (const prefix of ["a", "a/", "a/b", "a/c/", "ab", "b", "c", "a/b-", "a/c/d", "a/c/d/"])
        assert.deepEqual(await keys(store, prefix), all.filter((key) => key.startsWith(prefix)).sort(), prefix);
      const [first] = await objects(store, "a/b-c");
      assert.equal(first?.sizeBytes, 5);
    });

    it("list() ends with the signal's reason", async () => {
      const store = await openStore();
      for (const key of ["a/1", "a/2", "b/1"]) await store.put(key, Buffer.from("x"));
      const stop = new AbortController();
      const reason = new Error("enough");
      const listing = async (): Promise<void> => {
        for await (const { key } of store.list("", { signal: stop.signal })) if (key === "a/1") stop.abort(reason);
      };
      await assert.rejects(listing(), (error) => error === reason);
    });

    it("list() goes on while objects are deleted", async () => {
      const store = await openStore();
      for (const key of ["a/1", "a/2", "b/1"]) await store.put(key, Buffer.from("x"));
      const seen: string[] = [];
      for await (const { key } of store.list("")) {
        seen.push(key);
        await store.delete("a/2");
      }
      assert.deepEqual(
        seen.filter((key) => key !== "a/2"),
        ["a/1", "b/1"],
      );
    });
  });
}

function describeHeadAndDelete(name: string, openStore: OpenStore): void {
  describe(`${name}: head(), delete(), sweepUploads()`, () => {
    it("head() tells size and time, and nothing of what isn't there", async () => {
      const store = await openStore();
      const stored = await store.put("folder/object", Buffer.from("12345"));
      const found = await store.head("folder/object");
      assert.equal(found?.sizeBytes, 5);
      assert.equal(found?.modifiedAt.getTime(), stored.modifiedAt.getTime());
      assert.equal(await store.head("absent"), undefined);
      assert.equal(await store.head("folder"), undefined);
      assert.equal(await store.head("folder/object/below"), undefined);
    });

    it("delete() removes an object, and may be called again", async () => {
      const store = await openStore();
      await store.put("folder/gone", Buffer.from("x"));
      await store.delete("folder/gone");
      await store.delete("folder/gone");
      await store.delete("never/there");
      assert.equal(await store.head("folder/gone"), undefined);
      assert.deepEqual(await keys(store, ""), []);
    });

    it("sweepUploads() leaves whole objects alone", async () => {
      const store = await openStore();
      await store.put("kept", Buffer.from("x"));
      await store.sweepUploads(new Date(Date.now() + 60_000));
      assert.deepEqual(await keys(store, ""), ["kept"]);
    });
  });
}

/** For `assert.rejects`. */
export function code(expected: ErrorCode): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof TidemarkError, String(error));
    assert.equal(error.code, expected, error.message);
    return true;
  };
}

async function read(source: ByteStream): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of source) {
    assert.ok(chunk.length > 0, "no chunk is empty");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

async function checksum(source: ByteStream): Promise<string> {
  return sha256(await read(source));
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

async function objects(store: Store, prefix: string): Promise<StoredObject[]> {
  const found: StoredObject[] = [];
  for await (const object of store.list(prefix)) found.push(object);
  return found;
}

async function keys(store: Store, prefix: string): Promise<string[]> {
  return (await objects(store, prefix)).map((object) => object.key);
}

async function* inPieces(bytes: Uint8Array, pieceBytes: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += pieceBytes) yield bytes.subarray(at, at + pieceBytes);
}

async function* gated(begun: PromiseWithResolvers<void>, gate: Promise<void>): AsyncGenerator<Uint8Array> {
  yield Buffer.from("begin");
  begun.resolve();
  await gate;
  yield Buffer.from("end");
}

async function* failing(failure: Error): AsyncGenerator<Uint8Array> {
  yield Buffer.alloc(100_000, 1);
  throw failure;
}

async function* withEnd(source: ByteStream, atEnd: () => void): AsyncGenerator<Uint8Array> {
  yield* source;
  atEnd();
}

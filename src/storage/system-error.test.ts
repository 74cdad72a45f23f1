import assert from "node:assert/strict";
import { test } from "node:test";
import { TidemarkError } from "../core/errors.ts";
import { storageError } from "./system-error.ts";

const errno = (code: string): Error =>
  Object.assign(new Error(`${code}: write`), { code, errno: -1, syscall: "write" });

test("storageError() classifies what the system says and keeps the cause", () => {
  const expected = {
    ENOSPC: "disk_full",
    EDQUOT: "disk_full",
    EACCES: "storage_denied",
    EROFS: "storage_denied",
    EIO: "storage_unavailable",
    EXYZ: "storage_unavailable",
  };
  for (const [code, ours] of Object.entries(expected)) {
    const cause = errno(code);
    const error = storageError('store "x"', cause);
    assert.ok(error instanceof TidemarkError);
    assert.equal(error.code, ours);
    assert.equal(error.cause, cause);
    assert.match(error.message, /^Cannot store "x"/);
  }
});

test("storageError() leaves alone what is no system call", () => {
  for (const thrown of [new TidemarkError("cancelled", "x"), new Error("x"), new TypeError("x")])
    assert.equal(storageError("read", thrown), thrown);
});

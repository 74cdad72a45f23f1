import assert from "node:assert/strict";
import { basename } from "node:path";
import { before, describe, test } from "node:test";
import { writeDashboardTypes } from "../dashboard/scripts/generate-types.ts";
import { runTool } from "./harness/run-tool.ts";
import { readFacts } from "./harness/source-facts.ts";
import { listFiles, listSources, readText } from "./harness/source-files.ts";

describe("static checks", () => {
  before(() => writeDashboardTypes());
  const checks = [
    { title: "tsc finds no type error", tool: "tsc", args: ["--noEmit"] },
    { title: "tsc finds no type error in the dashboard", tool: "tsc", args: ["--noEmit", "--project", "dashboard"] },
    { title: "oxlint finds nothing", tool: "oxlint", args: ["--type-aware", "--deny-warnings"] },
    { title: "oxfmt would change nothing", tool: "oxfmt", args: ["--check", "."] },
    { title: "knip finds nothing unused", tool: "knip", args: [] },
  ];
  for (const { title, tool, args } of checks)
    test(title, async (t) => {
      const { exitCode, output } = await runTool(tool, args, t.signal);
      assert.equal(exitCode, 0, output);
    });
});

describe("names of files", () => {
  /** Names that tools or custom fix; all others are kebab-case. */
  const FIXED_NAMES = new Set(["README.md", "ARCHITECTURE.md", "LICENSE", "NOTICE"]);
  const KEBAB_CASE = /^\.?[a-z0-9]+(-[a-z0-9]+)*(\.[a-z0-9]+(-[a-z0-9]+)*)*$/;
  const VAGUE_WORDS = new Set([
    "new",
    "old",
    "v2",
    "util",
    "utils",
    "helper",
    "helpers",
    "common",
    "manager",
    "handler",
    "misc",
  ]);
  /** Data that tests read, named by what it shows. */
  const named = listFiles().filter((path) => !path.startsWith("test/fixtures/"));

  test("are kebab-case", () => {
    const odd = named.filter((path) => !FIXED_NAMES.has(basename(path)) && !KEBAB_CASE.test(basename(path)));
    assert.deepEqual(odd, []);
  });

  test("say what is inside", () => {
    const vague = named.filter((path) => path.split(/[/.-]/).some((word) => VAGUE_WORDS.has(word)));
    assert.deepEqual(vague, []);
  });
});

describe("sources", () => {
  const FUNCTION_LINES_MAX = 70;
  /** `path name`: why it may be longer. Cutting these would hide more than it shows. */
  const LONG_FUNCTIONS: Readonly<Record<string, string>> = {};
  const paths = ["src", "test", "scripts", "bench", "dashboard"].flatMap((folder) => listSources(folder));

  test("have no function longer than a screen", () => {
    const long = paths.flatMap((path) =>
      readFacts(path, readText(path))
        .functions.filter(
          ({ name, lineCount }) => lineCount > FUNCTION_LINES_MAX && !(`${path} ${name}` in LONG_FUNCTIONS),
        )
        .map(({ name, line, lineCount }) => `${path}:${line} ${name} has ${lineCount} lines`),
    );
    assert.deepEqual(long, []);
  });

  test("give each deferred task an issue's number", () => {
    assert.deepEqual(findLines(paths, /\b(T[O]DO|F[I]XME|X[X]X)\b(?!.*#\d)/), []);
  });

  test("don't run a subset of the tests, and skip only with a reason", () => {
    const tests = paths.filter((path) => path.endsWith(".test.ts"));
    assert.deepEqual(findLines(tests, /\b(test|it|describe|suite)\.(only|skip|todo)\b|\bonly: true|\bskip: true/), []);
  });
});

describe("all files", () => {
  /** Written by programs or by others. */
  const FOREIGN = new Set(["package-lock.json", "LICENSE"]);
  const paths = listFiles().filter((path) => !FOREIGN.has(path) && !path.startsWith("test/fixtures/"));

  test("stand alone: no path of one machine, nothing beside the project", () => {
    const places = [/\/work\//, /\.\.\/shared\b/, /\/tmp\/brief\b/, /\/Users\/[A-Za-z]+\//];
    assert.deepEqual(
      places.flatMap((place) => findLines(paths, place)),
      [],
    );
  });

  test("hold no secret", () => {
    const secrets = [
      /AGE-SECRET-KEY-1[0-9A-Z]{20}/,
      /-----BEGIN (EC |RSA )?PRIVATE KEY-----/,
      /\btk-us-[A-Za-z0-9_-]{48}\b/,
    ];
    assert.deepEqual(
      secrets.flatMap((secret) => findLines(paths, secret)),
      [],
    );
  });
});

/** `path:line` of each line that matches. */
function findLines(paths: readonly string[], pattern: RegExp): string[] {
  return paths.flatMap((path) =>
    readText(path)
      .split("\n")
      .flatMap((line, index) => (pattern.test(line) ? [`${path}:${index + 1} ${line.trim().slice(0, 120)}`] : [])),
  );
}

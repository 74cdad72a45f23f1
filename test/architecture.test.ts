import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { dirname, join, posix } from "node:path";
import { describe, test } from "node:test";
import { IMPORT_TABLE } from "./harness/import-table.ts";
import { readFacts, type SourceFacts } from "./harness/source-facts.ts";
import { listFiles, listSources, readText, TOP } from "./harness/source-files.ts";

/** `src/main.ts` and `src/main.test.ts` are "main", `src/core/clock.ts` is "core". */
function partOf(path: string): string {
  const [, part = ""] = path.split("/");
  return part.replace(/\..*$/, "");
}

const isTest = (path: string): boolean => path.endsWith(".test.ts");

const facts = new Map<string, SourceFacts>(
  ["src", "test", "scripts", "bench", "dashboard"].flatMap((folder) =>
    listSources(folder).map((path) => [path, readFacts(path, readText(path))] as const),
  ),
);
const sources = [...facts].filter(([path]) => path.startsWith("src/"));
const engine = sources.filter(([path]) => !isTest(path));

/** Written by the dashboard's build: there once it ran. */
const GENERATED = "dashboard/generated/";

/** Relative imports of a file, as paths from the top. */
function targetsOf(path: string, { imports }: SourceFacts): { target: string; line: number }[] {
  return imports
    .filter(({ specifier }) => specifier.startsWith("."))
    .map(({ specifier, line }) => ({ target: posix.join(dirname(path), specifier), line }));
}

describe("imports", () => {
  test("each edge between parts of src/ is in the import table", () => {
    const allowed = new Map(IMPORT_TABLE.map((rule) => [rule.part, new Set(rule.mayImport)]));
    const violations = engine.flatMap(([path, fact]) =>
      targetsOf(path, fact)
        .filter(({ target }) => partOf(target) !== partOf(path) || !target.startsWith("src/"))
        .filter(({ target }) => !target.startsWith("src/") || allowed.get(partOf(path))?.has(partOf(target)) !== true)
        .map(({ target, line }) => `${path}:${line} imports ${target}`),
    );
    assert.deepEqual(violations, []);
  });

  test("each part of src/ has a row, and each row names parts that have one", () => {
    const rows = new Set(IMPORT_TABLE.map((rule) => rule.part));
    const parts = new Set(sources.map(([path]) => partOf(path)));
    assert.deepEqual(
      [...parts].filter((part) => !rows.has(part)),
      [],
    );
    assert.deepEqual(
      IMPORT_TABLE.flatMap((rule) => rule.mayImport).filter((part) => !rows.has(part)),
      [],
    );
  });

  test("each row of the table names rows above it only, so that imports point one way", () => {
    const order = IMPORT_TABLE.map((rule) => rule.part);
    assert.deepEqual(
      IMPORT_TABLE.flatMap(({ part, mayImport }) =>
        mayImport.filter((other) => order.indexOf(other) >= order.indexOf(part)).map((other) => `${part}: ${other}`),
      ),
      [],
    );
  });

  test("no file imports itself through others", () => {
    const edges = new Map([...facts].map(([path, fact]) => [path, targetsOf(path, fact).map(({ target }) => target)]));
    assert.deepEqual(findCycle(edges), []);
  });

  test("each relative import names a file, with its extension", () => {
    const broken = [...facts].flatMap(([path, fact]) =>
      targetsOf(path, fact)
        .filter(({ target }) => !target.startsWith(GENERATED))
        .filter(({ target }) => !/\.(tsx?|mjs|json|css)$/.test(target) || !existsSync(join(TOP, target)))
        .map(({ target, line }) => `${path}:${line} imports ${target}`),
    );
    assert.deepEqual(broken, []);
  });

  test("the dashboard knows the platform by its API alone, and its parts know those below only", () => {
    const parts = [GENERATED, "dashboard/src/api/", "dashboard/src/ui/", "dashboard/src/pages/", "dashboard/src/"];
    const level = (path: string): number => parts.findIndex((part) => path.startsWith(part));
    const violations = [...facts]
      .filter(([path]) => path.startsWith("dashboard/src/"))
      .flatMap(([path, fact]) =>
        targetsOf(path, fact)
          .filter(({ target }) => !target.endsWith(".css") && (level(target) === -1 || level(target) > level(path)))
          .map(({ target, line }) => `${path}:${line} imports ${target}`),
      );
    assert.deepEqual(violations, []);
  });

  test("findCycle() names the files of a cycle when there is one", () => {
    const edges = new Map([
      ["a", ["b"]],
      ["b", ["c", "d"]],
      ["c", []],
      ["d", ["b"]],
    ]);
    assert.deepEqual(findCycle(edges), ["b", "d", "b"]);
  });
});

describe("what only one place may touch", () => {
  const usesOf = (pattern: RegExp, allowedIn: readonly string[]): string[] =>
    engine
      .filter(([path]) => !allowedIn.includes(path))
      .flatMap(([path, { uses }]) =>
        uses.filter(({ what }) => pattern.test(what)).map(({ what, line }) => `${path}:${line} uses ${what}`),
      );

  test("only src/config.ts reads the environment", () => {
    assert.deepEqual(usesOf(/^process\.env$/, ["src/config.ts"]), []);
  });

  test("only src/core/clock.ts and src/main.ts ask for the time, and nothing asks Math for randomness", () => {
    assert.deepEqual(usesOf(/^(new Date\(\)|Date\.now|Temporal\.Now\..*)$/, ["src/core/clock.ts", "src/main.ts"]), []);
    assert.deepEqual(usesOf(/^Math\.random$/, []), []);
  });

  test("only programs (src/main.ts, the agent in sandboxes) read arguments, hold the standard streams and end the process", () => {
    assert.deepEqual(
      usesOf(/^process\.(argv|exit|exitCode|stdin|stdout|stderr)$/, ["src/main.ts", "src/oneoffs/agent.ts"]),
      [],
    );
  });

  test("nothing prints by console, and no module keeps a variable of its own", () => {
    assert.deepEqual(usesOf(/^(console|top-level let)$/, []), []);
  });
});

describe("readFacts()", () => {
  test("finds each kind of import, and not those in text or comments", () => {
    const text = [
      'import a from "./a.ts";',
      'import type { B } from "./b.ts";',
      'export { c } from "./c.ts";',
      'export type * from "./d.ts";',
      'const e = await import("./e.ts");',
      'type F = import("./f.ts").F;',
      'import "./g.ts";',
      '// import h from "./h.ts";',
      "const i = 'import i from \"./i.ts\"';",
    ].join("\n");
    const { imports } = readFacts("x.ts", text);
    assert.deepEqual(
      imports.toSorted((left, right) => left.line - right.line),
      ["a", "b", "c", "d", "e", "f", "g"].map((name, index) => ({ specifier: `./${name}.ts`, line: index + 1 })),
    );
  });

  test("finds what is watched, and lets a Date of a given value pass", () => {
    const text =
      "let a = new Date();\nconst b = [new Date(5), Date.now(), process.env.X, Math.random(), Temporal.Now.instant()];\nconsole.log(a, b);";
    assert.deepEqual(
      readFacts("x.ts", text).uses.map(({ what, line }) => `${line} ${what}`),
      [
        "1 top-level let",
        "1 new Date()",
        "2 Date.now",
        "2 process.env",
        "2 Math.random",
        "2 Temporal.Now.instant",
        "3 console",
      ],
    );
  });

  test("counts the lines of functions, without the callbacks of describe", () => {
    const text = 'describe("x", () => {\n  const f = () => {\n    return 1;\n  };\n});\nfunction g() {}\n';
    assert.deepEqual(readFacts("x.ts", text).functions, [
      { name: "(anonymous)", line: 2, lineCount: 3 },
      { name: "g", line: 6, lineCount: 1 },
    ]);
  });
});

describe("README.md of each folder of src/", () => {
  const README_LINES_MAX = 20;
  const folders = [
    ...new Set(
      listFiles("src")
        .filter((path) => path.split("/").length > 2)
        .map((path) => partOf(path)),
    ),
  ];

  test("is there and is short", () => {
    const problems = folders.flatMap((folder) => {
      const path = `src/${folder}/README.md`;
      if (!existsSync(join(TOP, path))) return [`${path} is missing`];
      const lineCount = readText(path).trimEnd().split("\n").length;
      return lineCount > README_LINES_MAX ? [`${path} has ${lineCount} lines`] : [];
    });
    assert.deepEqual(problems, []);
  });
});

/** The first cycle found, as the nodes on its way round; empty when there is none. */
function findCycle(edges: ReadonlyMap<string, readonly string[]>): string[] {
  const done = new Set<string>();
  const visit = (node: string, trail: readonly string[]): string[] => {
    const at = trail.indexOf(node);
    if (at !== -1) return [...trail.slice(at), node];
    if (done.has(node)) return [];
    for (const next of edges.get(node) ?? []) {
      const cycle = visit(next, [...trail, node]);
      if (cycle.length > 0) return cycle;
    }
    done.add(node);
    return [];
  };
  for (const node of edges.keys()) {
    const cycle = visit(node, []);
    if (cycle.length > 0) return cycle;
  }
  return [];
}
